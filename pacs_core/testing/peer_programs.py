"""Programs of other makers as peers of a node: DCMTK's, openssl, whatever a test runs."""

import errno
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from attrs import frozen

PROGRAM_PATH: Final = "/usr/local/bin:/usr/bin:/opt/homebrew/bin"
"""Where programs are looked for. Not ``$PATH``: pynetdicom's there have the names of DCMTK's."""
PATIENCE: Final = 60.0
"""Seconds that a program may take."""

_ENVIRONMENT: Final = {"TCP_NODELAY": "1"}  # DCMTK's would wait 40 ms for each answer


_PORTS: Final = range(10_240, 32_768)  # below those that systems give to port 0 and to clients
_given: Final[set[int]] = set()


def do_without(reason: str) -> NoReturn:
    """Skip a test whose peer is not there, or fail it where ``PACS_REQUIRE_PEERS=1``.

    Parameters
    ----------
    reason : str
        What is missing, and how one gets it.
    """
    import pytest

    if os.environ.get("PACS_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def find_free_port() -> int:
    """Return a port for a server that cannot choose a free one itself.

    Nobody is given it by chance until the server listens: it is none of those that the system
    gives away by itself, and tests in other processes hardly draw the same one.

    Raises
    ------
    OSError
        There is no free port.
    """
    draw = random.SystemRandom()  # property tests seed the other one, alike in each process
    for _ in range(1_000):
        port = draw.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise OSError(errno.EADDRINUSE, "no port is free")


@frozen
class PeerPrograms:
    """Programs, run in a folder.

    Attributes
    ----------
    directory : Path
    """

    directory: Path

    def start(self, program: str, *arguments: object, stdin: bool = False) -> subprocess.Popen[str]:
        """Start a program; its outputs are one.

        Parameters
        ----------
        program : str
        *arguments
            Turned into text.
        stdin : bool
            Whether something is to be written to it.
        """
        found = shutil.which(program, path=PROGRAM_PATH)
        if found is None:
            raise LookupError(f"{program} is not installed in {PROGRAM_PATH}")
        return subprocess.Popen(  # noqa: S603 a test says what
            [found, *map(str, arguments)],
            cwd=self.directory,
            env=os.environ | _ENVIRONMENT,
            text=True,
            errors="replace",
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, program: str, *arguments: object, code: int | None = 0) -> str:
        """Run a program to its end, which it must reach with this exit code; return what it said.

        Parameters
        ----------
        program : str
        *arguments
        code : int or None
            None for any.
        """
        with self.start(program, *arguments) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        assert code is None or process.returncode == code, output
        return output

    @contextmanager
    def serve(self, program: str, port: int, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run a server, whose last argument is its port, for the length of a ``with`` block."""
        process = self.start(program, *arguments, port)
        try:
            _await_listening(port, process)
            yield process
        finally:
            process.kill()
            with process:  # its outputs are closed, it is waited for
                pass


def _await_listening(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
