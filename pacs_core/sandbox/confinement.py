"""Confinement of the calling process, by what the kernel of the operating system offers."""

import os
import platform
import sys
from collections.abc import Iterator

from attrs import frozen

from pacs_core.sandbox.landlock import landlock_version, restrict_files
from pacs_core.sandbox.seccomp import has_seccomp, refuse_calls

# Theory of operation
#
# Decoders are written in C, and get what anybody may send. Whoever takes one over has its process,
# so that has next to nothing: pipes to the node, memory, and the code of Python and its libraries,
# to read. Two means of Linux, neither of which needs any rights, and both of which hold until the
# process ends:
#
# - Landlock (5.13): no file or directory can be opened but those that imports need, and these to
#   read only. Imports go on working, so codecs may load what they need when they need it.
# - seccomp: calls that make or use sockets, start programs, trace others, or are gates to parts of
#   the kernel with a history, fail with EPERM.
#
# What was open before stays usable. So the pipes go on working, and so must nothing else be open.


@frozen
class Confinement:
    """What a process is kept from.

    Attributes
    ----------
    files : bool
        Opening files, but for code to import.
    network : bool
        Making sockets, and starting programs.
    """

    files: bool
    network: bool


def confine(*, files: bool = True) -> Confinement:
    """Take from the calling process, for good, what decoding a picture does not need.

    Each thread that is started later is confined as well; none may run already. On a system that
    lacks a means, that part is left out.

    Parameters
    ----------
    files : bool
        Whether it may no longer open files.

    Returns
    -------
    Confinement
        What holds now.
    """
    # Landlock first: its own calls are none that seccomp refuses, but need no such promise.
    restricted = files and restrict_files(_readable())
    return Confinement(restricted, refuse_calls())


def describe_protection() -> str:
    """Return which protection this system has, in a few words."""
    if sys.platform != "linux":
        return f"limits only ({platform.system()} has neither Landlock nor seccomp)"
    parts = []
    version = landlock_version()
    parts.append(f"no files (Landlock {version})" if version else "files, as there is no Landlock")
    parts.append("no network (seccomp)" if has_seccomp() else "network, as there is no seccomp")
    return ", ".join(parts)


def _readable() -> Iterator[str]:
    """Yield what imports need, and what libraries look at when they are loaded."""
    yield from (path for path in sys.path if path)
    yield os.path.dirname(os.__file__)
    yield from (os.path.join(prefix, "lib") for prefix in {sys.prefix, sys.base_prefix})
    yield from ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store")
    yield from os.environ.get("LD_LIBRARY_PATH", "").split(":")
    yield from ("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
    yield from ("/dev/null", "/dev/urandom", "/proc/self/maps", "/proc/sys/vm/overcommit_memory")
