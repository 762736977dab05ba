"""Header scans, in Python and with speedups, and all that can be seen of one."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pacs_core.dataset import HeaderScanner, MalformedDataset
from pacs_core.dataset.scan_targets import ScanTargets
from pacs_core.dataset.speedups import header_walk


@contextmanager
def scan_in_python() -> Iterator[None]:
    """Make scanners that use no speedups, within the block."""
    with patch.object(ScanTargets, "walk", None):
        yield


def has_header_walk() -> bool:
    """Tell whether scanners walk over headers with a speedup."""
    return header_walk().maker is not None


def outcome_of_scan(
    chunks: Iterable[bytes | memoryview],
    transfer_syntax_uid: str,
    wanted: Collection[int],
    **options: Any,
) -> dict[str, object]:
    """Scan a dataset to its end; return what is to be the same however it is scanned.

    Parameters
    ----------
    chunks : iterable of bytes-like
    transfer_syntax_uid : str
    wanted : collection of int
    **options
        Further arguments of `HeaderScanner`.

    Returns
    -------
    dict
        What was found in which order, what was noted, the state after each chunk, and the error.
    """
    scanner = HeaderScanner(transfer_syntax_uid, wanted, **options)
    states: list[tuple[bool, int, bool]] = []
    failure = ""
    try:
        for chunk in chunks:
            done = scanner.feed(chunk)
            states.append((done, scanner.offset, scanner.dataset_ended_cleanly))
        scanner.finish()
    except MalformedDataset as error:
        failure = f"{type(error).__name__}: {error}"
    return {
        "attributes": list(scanner.attributes.items()),
        "notes": list(scanner.oddities.notes),
        "obstacle": scanner.oddities.obstacle,
        "oversized": scanner.oversized,
        "done, incomplete, offset": (scanner.done, scanner.incomplete, scanner.offset),
        "after each chunk": states,
        "error": failure,
    }
