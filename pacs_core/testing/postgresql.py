"""A PostgreSQL server for tests, of the programs that Debian's package has."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import define

_PROGRAMS: Final = Path("/usr/lib/postgresql")
_TIMEOUT: Final = 120


@define
class PostgresqlServer:
    """A server on a UNIX socket only, with a directory of its own.

    Attributes
    ----------
    directory : Path
    programs : Path
    options : str
        For the server, as ``-c NAME=VALUE``.
    """

    directory: Path
    programs: Path
    options: str = ""

    @property
    def url(self) -> str:
        """URL of its database ``postgres``, as its superuser ``pacs``."""
        return f"postgresql://pacs@/postgres?host={self.directory}"

    @classmethod
    def make(cls, directory: Path, options: str = "", password: str = "") -> "PostgresqlServer":
        """Make one in an empty directory; see :func:`postgresql_server`."""
        found = sorted(_PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            raise LookupError("no PostgreSQL server is installed: apt-get install postgresql")
        directory.chmod(0o777)
        server = cls(directory, found[-1], options)
        server._make("scram-sha-256" if password else "trust", password or "none")
        return server

    def start(self) -> None:
        """Start it, and wait until it takes connections; again after a stop as well."""
        socket = f"-c listen_addresses= -c unix_socket_directories={self.directory}"
        options = f"{socket} -c fsync=off {self.options}"
        self._control("-l", self.directory / "log", "-o", options, "start")

    def kill(self) -> None:
        """End it as a crash does: connections break off, and it recovers at its next start."""
        self._control("-m", "immediate", "stop")

    @contextmanager
    def standby(self) -> "Iterator[PostgresqlServer]":
        """Run a standby for a ``with`` block."""
        with _directory() as directory:
            standby = PostgresqlServer(directory, self.programs, self.options)
            place: list[str | Path] = ["-D", directory / "data", "-h", self.directory]
            _run([self.programs / "pg_basebackup", "-R", "-c", "fast", *place, "-U", "pacs"])
            standby.start()
            try:
                yield standby
            finally:
                standby.end()

    def promote(self) -> None:
        """Make a standby the server that takes changes."""
        self._control("promote")

    def end(self) -> None:
        """Kill it if it runs."""
        if (self.directory / "data" / "postmaster.pid").exists():
            self.kill()

    def _control(self, *arguments: str | Path) -> None:
        data = self.directory / "data"
        _run([self.programs / "pg_ctl", "-D", data, "-w", "-s", *arguments])

    def _make(self, authentication: str, password: str) -> None:
        file = self.directory / "password"
        file.write_text(password, "utf-8")
        file.chmod(0o644)
        data = self.directory / "data"
        options = ["-U", "pacs", "-N", "-A", authentication, f"--pwfile={file}"]
        _run([self.programs / "initdb", "-D", data, *options])


@contextmanager
def postgresql_server(password: str = "", options: str = "") -> Iterator[PostgresqlServer]:
    """Run a server for a ``with`` block.

    Parameters
    ----------
    password : str
        Which it asks of ``pacs``; empty if it asks for none.
    options : str
        For the server, as ``-c NAME=VALUE``.

    Raises
    ------
    LookupError
        PostgreSQL is not installed.
    """
    with _directory() as directory:
        server = PostgresqlServer.make(directory, options, password)
        server.start()
        try:
            yield server
        finally:
            server.end()


@contextmanager
def _directory() -> Iterator[Path]:
    # The name of its socket has 107 bytes at most.
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o777)
        yield directory


def _run(command: list[str | Path]) -> None:
    user = "postgres" if os.getuid() == 0 else None
    subprocess.run(  # noqa: S603
        command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=_TIMEOUT
    )
