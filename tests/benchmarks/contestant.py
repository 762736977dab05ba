"""A contestant: what it is, how it is started and stopped."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from attrs import field, frozen

from pacs_core.testing.peer_programs import find_free_port

from .client import Client, PeerError
from .leavings import discard
from .load import VERIFY

START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0


Command = Callable[[Path, int, int], Sequence[str]]
"""From a fresh directory, the port to listen on and the port of the C-MOVE destination."""


@frozen
class Contestant:
    """A system that is measured.

    Attributes
    ----------
    name : str
    durable : bool
        Whether an acknowledged object survives a power failure.
    does : frozenset of str
        Of "echo", "store", "find", "get", "move", "send", "given" for those whose index can be
        made without it, and "ours" for what is only measured of this project.
    command : callable
        Prepares a directory and returns the command line.
    settings : str
        Those settings that are not the defaults, and why.
    missing : callable
        Says why it cannot be run here; empty if it can.
    called : str
        Its AE title.
    max_associations : int
        As many as it accepts at once.
    max_storing : int
        As many as may store at once.
    environment : mapping of str to str
    tls : bool
        Whether its port is for secured associations.
    """

    name: str
    durable: bool
    does: frozenset[str]
    command: Command
    settings: str
    missing: Callable[[], str] = lambda: ""
    called: str = "ANY-SCP"
    max_associations: int = 1000
    max_storing: int = 1000
    environment: Mapping[str, str] = field(factory=dict)
    tls: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is this project."""
        return self.name.startswith("ours")


@frozen
class Running:
    """A contestant that answers."""

    contestant: Contestant
    process: "subprocess.Popen[bytes]"
    port: int
    directory: Path
    ready_after: float

    @property
    def called(self) -> str:
        """Its AE title."""
        return self.contestant.called


def environment() -> dict[str, str]:
    """Return the environment of every contestant: none is kept from what an installation has.

    Where Python may not keep its bytecode, a program compiles all of its source when it starts.
    """
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "TCP_NODELAY": "1"}


@contextmanager
def running(
    contestant: Contestant, directory: Path, move_port: int = 0, *, keep: bool = False
) -> Iterator[Running]:
    """Start a contestant in a directory, wait until it answers C-ECHO, and stop it at the end.

    The directory is removed afterwards unless it is to be kept.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    command = [str(part) for part in contestant.command(directory, port, move_port)]
    with (directory / "output.log").open("ab") as log:
        started = monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={**environment(), **contestant.environment},
            start_new_session=True,
        )
    try:
        _await_echo(contestant, process, port, directory / "output.log", started)
        ready_after = monotonic() - started
        if contestant.is_ours:
            _await_announcement(directory / "output.log")
        yield Running(contestant, process, port, directory, ready_after)
    finally:
        _stop(process)
        if not keep:
            discard(directory)


def _await_echo(
    contestant: Contestant,
    process: "subprocess.Popen[bytes]",
    port: int,
    log: Path,
    started: float,
) -> None:
    while monotonic() < started + START_TIMEOUT and process.poll() is None:
        try:
            with Client(port, [VERIFY], contestant.called, tls=contestant.tls):
                return
        except (OSError, PeerError):
            sleep(0.002)
    output = log.read_text(errors="replace")[-2000:]
    raise PeerError(f"{contestant.name} did not become ready:\n{output}")


def _await_announcement(log: Path) -> None:
    """Wait until all workers are there: the first of them answers before."""
    until = monotonic() + START_TIMEOUT
    while b"ready: " not in log.read_bytes():
        if monotonic() > until:
            raise PeerError(f"this project did not say that it is ready: {log}")
        sleep(0.002)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
