"""System calls by number, as the C library has no functions for these."""

import ctypes
import os
import sys
from typing import Any

PR_SET_NO_NEW_PRIVS = 38


def c_library() -> Any:
    """Return the C library of the process; None if this is not Linux."""
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def system_call(library: Any, number: int, *arguments: object) -> int:
    """Call the kernel.

    Raises
    ------
    OSError
        As of errno.
    """
    result = int(library.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def forbid_new_privileges(library: Any) -> bool:
    """Let no program that is started have more rights; what both means ask for."""
    zero = ctypes.c_ulong(0)
    return bool(library.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) == 0)
