"""Large datasets in memory, without a search for cycles among their elements.

How it works: CPython looks for cyclic garbage among all objects whenever there are a quarter more
of them than it found the last time. The elements of a report of some megabytes are a million
objects, among which it looks several times while they are read, and each time no thread of the
process does anything for half a second. None of them refers to what is above it: they go as soon
as nobody refers to them, with and without that search. So it waits until they are gone.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_LARGE: Final = 1 << 20
"""Bytes of a dataset from which on it has so many elements that the search is noticed."""


class _Pauses:
    lock: Final = Lock()
    count = 0
    is_enabled = True
    """Whether the search was on before the first of them."""


@contextmanager
def without_collection(size: int) -> Iterator[None]:
    """Put off the search for cyclic garbage, in the whole process, while a dataset is in memory.

    Let go of all that was read within it. Nothing but a few datasets at a time may be read so, one
    after the other: what else is garbage stays until the last of them is gone.

    Parameters
    ----------
    size : int
        Bytes of the dataset; nothing is put off for a small one.
    """
    if size < _LARGE:
        yield
        return
    with _Pauses.lock:
        if not _Pauses.count:
            _Pauses.is_enabled = gc.isenabled()
            gc.disable()
        _Pauses.count += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.count -= 1
            if not _Pauses.count and _Pauses.is_enabled:
                gc.enable()
