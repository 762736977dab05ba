"""seccomp (``seccomp(2)``): which calls of the kernel fail for a process."""

import ctypes
import errno
import platform
from collections.abc import Mapping
from typing import Final, NamedTuple

from pacs_core.sandbox.system_calls import c_library, forbid_new_privileges

PR_SET_SECCOMP: Final = 22
PR_GET_SECCOMP: Final = 21
_MODE_FILTER: Final = 2

# Instructions of classic BPF, and places in `struct seccomp_data`.
_LOAD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_JUMP_IF_ABOVE: Final = 0x35
_RETURN: Final = 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL: Final = 0x80000000
_X32: Final = 0x40000000
"""From this number on calls of x86_64 are of its other ABI, with the same meaning: all refused."""


class Architecture(NamedTuple):
    """An architecture, as `AUDIT_ARCH_` names it, and the numbers of the calls to refuse."""

    token: int
    calls: Mapping[str, int]


_CALLS: Final[tuple[tuple[str, int, int | None], ...]] = (
    # The network.
    ("socket", 41, 198),
    ("connect", 42, 203),
    ("accept", 43, 202),
    ("accept4", 288, 242),
    ("bind", 49, 200),
    ("listen", 50, 201),
    ("socketpair", 53, 199),
    # Other programs; threads are made by clone and clone3.
    ("fork", 57, None),
    ("vfork", 58, None),
    ("execve", 59, 221),
    ("execveat", 322, 281),
    # Other processes.
    ("ptrace", 101, 117),
    ("process_vm_readv", 310, 270),
    ("process_vm_writev", 311, 271),
    ("kcmp", 312, 272),
    ("pidfd_open", 434, 434),
    ("pidfd_getfd", 438, 438),
    # Roots, mounts and namespaces.
    ("pivot_root", 155, 41),
    ("chroot", 161, 51),
    ("mount", 165, 40),
    ("umount2", 166, 39),
    ("unshare", 272, 97),
    ("setns", 308, 268),
    ("open_tree", 428, 428),
    ("move_mount", 429, 429),
    ("fsopen", 430, 430),
    ("fsconfig", 431, 431),
    ("fsmount", 432, 432),
    ("fspick", 433, 433),
    ("mount_setattr", 442, 442),
    # Files by handles, past all folders.
    ("name_to_handle_at", 303, 264),
    ("open_by_handle_at", 304, 265),
    # The kernel itself.
    ("init_module", 175, 105),
    ("delete_module", 176, 106),
    ("finit_module", 313, 273),
    ("kexec_load", 246, 104),
    ("kexec_file_load", 320, 294),
    ("bpf", 321, 280),
    # Keys, counters, faults of memory.
    ("add_key", 248, 217),
    ("request_key", 249, 218),
    ("keyctl", 250, 219),
    ("perf_event_open", 298, 241),
    ("userfaultfd", 323, 282),
    # Calls by another way, which this filter does not see.
    ("io_uring_setup", 425, 425),
    ("io_uring_enter", 426, 426),
    ("io_uring_register", 427, 427),
)
"""Calls that a codec has no need of, with their numbers on x86_64 and on aarch64."""

ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, {name: number for name, number, _ in _CALLS}),
    "aarch64": Architecture(
        0xC00000B7, {name: number for name, _, number in _CALLS if number is not None}
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def has_seccomp() -> bool:
    """Tell whether calls can be refused here."""
    library = c_library()
    if library is None or platform.machine() not in ARCHITECTURES:
        return False
    return bool(library.prctl(PR_GET_SECCOMP, *[ctypes.c_ulong(0)] * 4) >= 0)


def refuse_calls() -> bool:
    """Let calls that a codec has no need of fail with EPERM, in this process and for good.

    Returns
    -------
    bool
        Whether it is so; not where the kernel, or this module, does not know how.
    """
    library = c_library()
    architecture = ARCHITECTURES.get(platform.machine())
    if library is None or architecture is None:
        return False
    instructions = _filter(architecture)
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    if not forbid_new_privileges(library):
        return False
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_MODE_FILTER)
    return bool(library.prctl(PR_SET_SECCOMP, mode, ctypes.byref(program), zero, zero) == 0)


def _filter(architecture: Architecture) -> list[_Instruction]:
    # A process of another architecture would give its calls other numbers: it has no business here.
    head = [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, architecture.token),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER),
    ]
    calls = sorted(architecture.calls.values())
    # Each test jumps over those that follow it, and over the permission, to the refusal.
    tests = [_Instruction(_JUMP_IF_ABOVE, len(calls) + 1, 0, _X32)]
    tests += [
        _Instruction(_JUMP_IF_EQUAL, len(calls) - place, 0, call)
        for place, call in enumerate(calls)
    ]
    return [
        *head,
        *tests,
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _REFUSE),
    ]
