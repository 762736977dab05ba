"""Faults, each an episode of some seconds after which the world is whole again."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from attrs import define, field

from pacs_core.testing.postgresql import PostgresqlServer

from .ledger import Ledger
from .node import MIB, Node, set_clock
from .receiver import Receiver
from .tally import Tally


@define
class Faults:
    """What can be broken, and how many times the node was.

    Attributes
    ----------
    node, ledger, receiver, draw
    disk : Path or None
        A small file system that has the data directory.
    database : PostgresqlServer or None
    """

    node: Node
    ledger: Ledger
    receiver: Receiver
    draw: random.Random
    tally: Tally
    disk: Path | None = None
    database: PostgresqlServer | None = None
    _counted: int = field(default=0)

    @property
    def usable(self) -> "dict[str, Fault]":
        """Faults that this machine permits, by name."""
        able = {
            "full-disk": self.disk is not None,
            "slow-disk": shutil.which("strace") is not None,
            "clock": self.node.clock is not None,
            "database": self.database is not None,
            "kill-worker": len(self.node.workers) > 0,
        }
        return {name: fault for name, fault in FAULTS.items() if able.get(name, True)}


async def kill(faults: Faults) -> None:
    """SIGKILL of the node amid its work, and a new start."""
    faults.node.kill()
    count = len(faults.ledger.acknowledged)
    faults.tally.add(count - faults._counted)
    faults._counted = count
    await anyio.sleep(faults.draw.uniform(0, 0.5))
    await faults.node.start()


async def kill_worker(faults: Faults) -> None:
    """SIGKILL of one worker; the node replaces it."""
    with suppress(ProcessLookupError):
        os.kill(faults.draw.choice(faults.node.workers), signal.SIGKILL)
    await anyio.sleep(3)


async def restart(faults: Faults) -> None:
    """Stop the node as its operator does, and start it again."""
    if code := await faults.node.stop():
        raise AssertionError(f"after SIGTERM the node ended with {code}")
    await faults.node.start()


async def full_disk(faults: Faults) -> None:
    """Let somebody else fill the disk to its last block, for some seconds."""
    assert faults.disk is not None
    filler = faults.disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for block in (bytes(MIB), bytes(4096)):
                with suppress(OSError):
                    while file.write(block):
                        pass
        await anyio.sleep(faults.draw.uniform(3, 8))
    finally:
        filler.unlink()
    # The node looks at its room now and then.
    await anyio.sleep(8)


async def slow_disk(faults: Faults) -> None:
    """Let each sync take 50 to 300 ms longer."""
    assert faults.node.process is not None
    delay = faults.draw.randrange(50_000, 300_000)
    pids = [faults.node.process.pid, *faults.node.workers]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
    command += ["-e", f"inject=fsync,fdatasync:delay_enter={delay}us"]
    command += [argument for pid in pids for argument in ("-p", str(pid))]
    async with await anyio.open_process(command, stdout=None, stderr=subprocess.DEVNULL) as tracer:
        await anyio.sleep(faults.draw.uniform(3, 10))
        with suppress(ProcessLookupError):  # it was not let in, or the node has ended
            tracer.terminate()


async def dead_peer(faults: Faults) -> None:
    """Let the receiver refuse connections, hang, or break them off."""
    faults.receiver.mode = faults.draw.choice(("refuse", "hang", "reset"))
    try:
        await anyio.sleep(faults.draw.uniform(3, 12))
    finally:
        faults.receiver.mode = "pass"


async def clock(faults: Faults) -> None:
    """Let the clock of the node jump, and stay there for a while."""
    assert faults.node.clock is not None
    jump = faults.draw.choice((-86_400, -3_600, -60, 60, 3_600, 86_400))
    set_clock(faults.node.clock, jump)
    await anyio.sleep(faults.draw.uniform(3, 10))
    set_clock(faults.node.clock, 0)
    await anyio.sleep(2)


async def stall(faults: Faults) -> None:
    """Stop the process for some seconds, as a host that is moved does."""
    assert faults.node.process is not None
    faults.node.process.send_signal(signal.SIGSTOP)
    await anyio.sleep(faults.draw.uniform(1, 5))
    faults.node.process.send_signal(signal.SIGCONT)


async def database(faults: Faults) -> None:
    """Let PostgreSQL crash, and start again."""
    assert faults.database is not None
    faults.database.kill()
    await anyio.sleep(faults.draw.uniform(0, 5))
    faults.database.start()
    await anyio.sleep(3)


Fault = Callable[[Faults], Awaitable[None]]
FAULTS: Final[dict[str, Fault]] = {
    "kill": kill,
    "kill-worker": kill_worker,
    "restart": restart,
    "full-disk": full_disk,
    "slow-disk": slow_disk,
    "dead-peer": dead_peer,
    "clock": clock,
    "stall": stall,
    "database": database,
}
ENDS_THE_LIFE: Final = {"kill", "restart"}
WEIGHTS: Final = {"kill": 6}
