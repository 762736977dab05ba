"""Sockets of the control channel: where they lie, who may connect, what is left of the dead."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

_LONGEST_ADDRESS: Final = 100  # bytes; sun_path has 108 on Linux, 104 elsewhere
_CREDENTIALS: Final = struct.Struct("3i")  # process, user, group: struct ucred of unix(7)
_BACKLOG: Final = 64


def control_directory(data_directory: Path) -> Path:
    """Return where the sockets of a node lie."""
    return data_directory / "control"


def control_sockets(data_directory: Path) -> list[Path]:
    """Return the sockets there are, of whoever lives or lived."""
    return sorted(control_directory(data_directory).glob("*.sock"))


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give the name of a socket in a form that fits into a socket address."""
    if len(os.fsencode(path)) < _LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def connect_socket(path: Path) -> socket.socket:
    """Connect to a process of a node.

    Raises
    ------
    OSError
        Nobody listens there any more, or it is not ours to connect to.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


def bind_control_socket(data_directory: Path) -> tuple[socket.socket, Path]:
    """Return a listening socket that only this user can connect to, and where it lies.

    Raises
    ------
    OSError
        There is no place for it, or the platform has no such sockets.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(socket, "SO_PEERCRED"):
        raise OSError("this platform has no local sockets that say who connects")
    directory = control_directory(data_directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    _remove_leftovers(data_directory)
    name = directory / token_hex(8)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(name) as address:
            listening.bind(address)
            # Nobody can connect before it listens: there is no moment at which others may.
            os.chmod(address, 0o600)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        # It gets the name by which it is looked for once it listens, lest it be taken for dead.
        return listening, name.rename(name.with_suffix(".sock"))
    except OSError:
        listening.close()
        name.unlink(missing_ok=True)
        raise


def _remove_leftovers(data_directory: Path) -> None:
    for path in control_sockets(data_directory):
        try:
            connect_socket(path).close()
        except ConnectionRefusedError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            continue


def peer_user(connection: socket.socket) -> int:
    """Return the user of the process that has connected, as the operating system knows it."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(packed)[1])
