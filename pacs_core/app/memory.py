"""Memory of a node's process, as its allocator has it."""

import ctypes
import sys
from typing import Final

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of mallopt(3), which glibc has."""


def share_free_memory() -> None:
    """Let all threads take memory from one place, so that what one has freed serves the next.

    glibc has one place for each thread otherwise, up to eight times as many as there are cores, and
    each keeps what was freed in it. Threads wait for each other where they would allocate at the
    same time; but of Python's code only one runs at a time.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_ARENA_MAX, 1)
