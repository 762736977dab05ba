"""A contestant with a PostgreSQL server of its own: started before it, and ended after it.

``python -m tests.benchmarks.with_postgresql DIRECTORY COMMAND...``
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pacs_core.testing.postgresql import PostgresqlServer

from .contestant import Command

Configure = Callable[[Path, Path], None]
"""Gets the directory of the contestant, and the one in which the server has its socket."""


def with_postgresql(command: Command, configure: Configure) -> Command:
    """Return a command that runs another, which is configured for a server, beside that."""

    def start(directory: Path, port: int, move_port: int) -> Sequence[str]:
        # On the disk that is measured, where whoever the server runs as may go.
        root = next(
            root
            for root in (Path("/dev/shm"), Path("/tmp"), Path("/"))
            if directory.is_relative_to(root)
        )
        server = Path(tempfile.mkdtemp(prefix="pg-", dir=None if root == Path("/") else root))
        program = command(directory, port, move_port)
        configure(directory, server)
        return [sys.executable, "-m", __name__, str(server), *program]

    return start


def main(directory: Path, program: Sequence[str]) -> int:
    """Run a program with a server that waits for the disk, and end that with it."""
    server = PostgresqlServer.make(directory, "-c fsync=on")
    server.start()
    try:
        process = subprocess.Popen(program)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.terminate())
        return process.wait()
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
