"""Landlock (Linux 5.13, ``landlock(7)``): which files a process may still open."""

import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Any, Final

from pacs_core.sandbox.system_calls import c_library, forbid_new_privileges, system_call

# Numbers are the same on all architectures.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_DIRECTORY: Final = 1 << 3

# What can be asked for, by the first version that knows it: all is denied that is not permitted.
_FILE_ACCESSES: Final = ((1, 0x1FFF), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_NET_ACCESSES: Final = ((4, 0b11),)
_SCOPES: Final = ((6, 0b11),)
_SIZES: Final = ((1, 8), (4, 16), (6, 24))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_version() -> int:
    """Return the version that the kernel has; 0 if it has none, or must not use it."""
    library = c_library()
    if library is None:
        return 0
    try:
        return system_call(
            library, _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)
        )
    except OSError:
        return 0


def restrict_files(readable: Iterable[str]) -> bool:
    """Let this process open nothing but what lies at or below these paths, and that to read.

    Since version 6 it may not signal processes that are not confined with it either.

    Returns
    -------
    bool
        Whether it is so; not where the kernel has no Landlock.
    """
    version = landlock_version()
    library = c_library()
    if not version or library is None:
        return False
    attributes = _Attributes(
        _known(_FILE_ACCESSES, version), _known(_NET_ACCESSES, version), _known(_SCOPES, version)
    )
    size = max(size for since, size in _SIZES if since <= version)
    try:
        rules = system_call(
            library,
            _CREATE_RULESET,
            ctypes.byref(attributes),
            ctypes.c_size_t(size),
            ctypes.c_uint32(0),
        )
    except OSError:
        return False
    try:
        for path in dict.fromkeys(readable):
            _permit(library, rules, path)
        if not forbid_new_privileges(library):
            return False
        system_call(library, _RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    except OSError:
        return False
    finally:
        os.close(rules)
    return True


def _known(accesses: Iterable[tuple[int, int]], version: int) -> int:
    return sum(bits for since, bits in accesses if since <= version)


def _permit(library: Any, rules: int, path: str) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, as most of them
        return
    try:
        is_directory = stat.S_ISDIR(os.fstat(file).st_mode)
        access = _READ_FILE | _READ_DIRECTORY if is_directory else _READ_FILE
        rule = _PathBeneath(access, file)
        system_call(
            library,
            _ADD_RULE,
            ctypes.c_int(rules),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(file)
