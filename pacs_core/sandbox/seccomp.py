"""seccomp (``seccomp(2)``): which calls of the kernel fail for a process."""

import ctypes
import errno
import platform
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


class _Architecture(NamedTuple):
    """An architecture, as `AUDIT_ARCH_` names it, and the numbers of calls to refuse."""

    token: int
    calls: tuple[int, ...]


_COMMON: Final = (425, 426, 427, 428, 429, 430, 431, 432, 434, 438, 442)
"""io_uring_*, open_tree, move_mount, fsopen, fsconfig, fsmount, pidfd_*, mount_setattr."""

ARCHITECTURES: Final = {
    "x86_64": _Architecture(
        0xC000003E,
        (
            *(41, 42, 43, 49, 50, 53, 288),  # socket, connect, accept, bind, listen, ~pair, accept4
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(155, 161, 165, 166, 272, 308),  # pivot_root, chroot, mount, umount2, unshare, setns
            *(175, 176, 313, 246),  # init_module, delete_module, finit_module, kexec_load
            *(248, 249, 250, 298, 303, 304),  # keys, perf_event_open, handles of files
            *(321, 323),  # bpf, userfaultfd
            *_COMMON,
        ),
    ),
    "aarch64": _Architecture(
        0xC00000B7,
        (
            *(198, 199, 200, 201, 202, 203, 242),
            *(221, 281),
            *(117, 270, 271, 272),
            *(41, 51, 40, 39, 97, 268),
            *(105, 106, 273, 104),
            *(217, 218, 219, 241, 264, 265),
            *(280, 282),
            *_COMMON,
        ),
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


def _filter(architecture: _Architecture) -> list[_Instruction]:
    # A process of another architecture would give its calls other numbers: it has no business here.
    head = [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, architecture.token),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NUMBER),
    ]
    calls = sorted(set(architecture.calls))
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
