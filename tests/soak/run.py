"""A run: the world is built, clients work, faults come, and the account is made."""

import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
from attrs import define, field, frozen

from pacs_core.association import AssociationError
from pacs_core.testing.postgresql import postgresql_server

from . import account, web_work, work
from .faults import ENDS_THE_LIFE, WEIGHTS, Faults, kill
from .ledger import Ledger
from .node import Node
from .receiver import Receiver
from .resources import Resources, Series
from .tally import Tally
from .trouble import RefusedError, Trouble, WrongAnswerError
from .work import Client

WORK: Final[dict[work.Work, int]] = {
    work.store: 8,
    web_work.stow: 5,
    work.find: 4,
    work.get: 4,
    work.move: 2,
    web_work.search: 4,
    web_work.retrieve: 4,
    work.find_worklist: 1,
    work.perform: 2,
    work.commit: 2,
    work.abandon_store: 1,
    work.abandon_connection: 1,
    web_work.abandon_stow: 1,
}
STORING: Final[dict[work.Work, int]] = {work.store: 3, web_work.stow: 2, work.get: 1}
GROWING: Final = (work.store, web_work.stow)
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {},
    "journal": {"archive": {"journal": True}},
    "write-behind": {"archive": {"durability": "write-behind"}},
    "workers": {"node": {"workers": 2}},
    "postgresql": {"archive": {"index": "postgresql"}},
}
NETWORK: Final = (AssociationError, httpx.TransportError, OSError, anyio.BrokenResourceError)
DISK: Final = 1 << 30


@frozen
class Plan:
    """What is to be done; see ``scripts/soak --help``."""

    seed: int
    minutes: float
    kills: int
    variant: str
    clients: int
    directory: Path
    tally: Path
    size: int = 100_000_000


@define
class Soak:
    """A run that is under way."""

    plan: Plan
    node: Node
    ledger: Ledger
    receiver: Receiver
    trouble: Trouble
    faults: Faults
    is_over: bool = False
    http: httpx.AsyncClient = field(init=False)

    async def run(self) -> int:
        """Run it; return the number of acknowledged instances that were lost."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=90, limits=limits) as http:
            self.http = http
            auditor = self._client("auditor")
            for number in range(work.WORKLIST_STEPS):
                name = f"SOAK{number}"
                await self.node.pacs("worklist", "add", name, "Doe^Soak", "--modality", "CT")
            await self.node.start()
            if self.plan.kills:
                async with self._load("kills"):
                    await self._kill()
            else:
                await self._break(auditor)
            await account.settle(auditor, self.trouble)
            return await account.check(auditor, self.trouble)

    @asynccontextmanager
    async def _load(self, phase: str) -> AsyncIterator[None]:
        """Let clients work for an ``async with`` block."""
        self.is_over = False
        async with anyio.create_task_group() as tasks:
            for number in range(self.plan.clients):
                tasks.start_soon(self._work, self._client(f"{phase} {number}"))
            yield
            self.is_over = True

    def _client(self, name: str) -> Client:
        draw = random.Random(f"{self.plan.seed} {name}")
        return Client(self.node, self.ledger, self.receiver, draw, self.http)

    async def _work(self, client: Client) -> None:
        table = STORING if self.plan.kills else WORK
        pieces, weights = list(table), list(table.values())
        while not self.is_over:
            (piece,) = client.draw.choices(pieces, weights)
            if piece in GROWING and self.ledger.size > self.plan.size:
                piece = work.delete  # a process of its own: all else goes on meanwhile
            await self._try(piece, client)
            await anyio.sleep(client.draw.uniform(0, 0.02 if self.plan.kills else 0.2))

    async def _try(self, piece: work.Work, client: Client) -> None:
        """Do a piece of work; what no fault excuses is a finding."""
        since, name = time.monotonic(), piece.__name__
        try:
            await piece(client)
        except WrongAnswerError as error:
            self.trouble.find(f"{name}: {error} (fault: {self.trouble.active or 'none'})")
        except (*NETWORK, RefusedError) as error:
            if self.trouble.excuses(since):
                self.trouble.excused[name] += 1
                await anyio.sleep(0.05)
            else:
                self.trouble.find(f"{name} without a fault: {type(error).__name__}: {error}")
        else:
            self.trouble.done[name] += 1

    async def _kill(self) -> None:
        for _ in range(self.plan.kills):
            await anyio.sleep(self.faults.draw.uniform(0.2, 2))
            with self.trouble.fault("kill"):
                await kill(self.faults)

    async def _break(self, client: Client) -> None:
        """Inject faults; hold what the last life holds at its end against what it held before."""
        begin, seconds = time.monotonic(), self.plan.minutes * 60
        async with self._load("first"):
            await self._inject(begin + seconds / 2, ends_lives=True)
        await self.node.stop()
        await self.node.start()
        async with self._load("second"):  # it meets each kind of work and of fault, at once
            await self._inject(begin + seconds * 2 / 3, ends_lives=False)
        before = await self._rest(client)
        series = Series()
        async with self._load("third"), anyio.create_task_group() as tasks:
            tasks.start_soon(self._sample, series)
            await self._inject(time.monotonic() + seconds / 3, ends_lives=False)
            tasks.cancel_scope.cancel()
        after = await self._rest(client)
        print(f"at rest: {before}; and at the end: {after}", flush=True)
        print(f"under load, by tenths of {len(series.samples)} samples: {series}", flush=True)
        for growth in (*after.growth(before), *series.growth()):
            self.trouble.find(f"resources: {growth}")

    async def _rest(self, client: Client) -> Resources:
        """Return what the node holds when all is done and nobody asks for anything."""
        await account.settle(client, self.trouble)
        await anyio.sleep(20)  # idle threads and connections end
        return self._measure()

    async def _sample(self, series: Series) -> None:
        while True:
            series.samples.append(self._measure())
            await anyio.sleep(5)

    def _measure(self) -> Resources:
        assert self.node.process is not None
        directory = self.node.directory
        return Resources.of(self.node.process.pid, directory / "data", directory / "tmp")

    async def _inject(self, until: float, *, ends_lives: bool) -> None:
        draw, told = self.faults.draw, time.monotonic()
        while (left := until - time.monotonic()) > 0:
            await anyio.sleep(min(left, draw.uniform(2, 12)))
            usable = self.faults.usable
            names = [name for name in usable if ends_lives or name not in ENDS_THE_LIFE]
            (name,) = draw.choices(names, [WEIGHTS.get(name, 1) for name in names])
            with self.trouble.fault(name):
                await usable[name](self.faults)
            if time.monotonic() > told + 60:
                told = time.monotonic()
                done, excused = self.trouble.done.total(), self.trouble.excused.total()
                acknowledged, faults = len(self.ledger.acknowledged), dict(self.trouble.faults)
                memory = self._measure().memory // 1_000_000
                print(
                    f"{time.strftime('%H:%M:%S')} {done} done, {excused} excused, "
                    f"{acknowledged} acknowledged, {memory} MB, {faults}",
                    flush=True,
                )


@contextmanager
def small_disk(directory: Path) -> Iterator[Path | None]:
    """Mount a file system of 1 GiB for a directory; give None where that is not permitted."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(directory)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@asynccontextmanager
async def soak(plan: Plan) -> AsyncIterator[Soak]:
    """Build the world of a run, and end it."""
    with ExitStack() as stack:
        tables: dict[str, Any] = VARIANTS[plan.variant]
        database = None
        if plan.variant == "postgresql":
            database = stack.enter_context(postgresql_server())
            url = plan.directory / "dsn"
            url.write_text(database.url, encoding="utf-8")
            tables = {
                **tables,
                "database": {"url": database.url},
                "plugin": {"index-postgresql": {"dsn": {"file": str(url)}}},
            }
        disk = stack.enter_context(small_disk(plan.directory / "data"))
        receiver, ledger = Receiver(), Ledger()
        node = Node.make(plan.directory, tables, receiver.peer)
        draw = random.Random(f"{plan.seed} faults")
        tally = Tally(plan.tally)
        faults = Faults(node, ledger, receiver, draw, tally, disk, database)
        async with receiver.run():
            try:
                yield Soak(plan, node, ledger, receiver, Trouble(), faults)
            finally:
                if node.process is not None:
                    node.kill()
