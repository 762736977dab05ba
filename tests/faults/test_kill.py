"""Kill -9 at any moment of ingest: what was acknowledged is there, whole; nothing else shows."""

import multiprocessing
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field
from importlib_metadata import entry_points

from pacs_core.archive import Difference, DifferenceKind, verify_index
from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.contracts import Peer
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_thread, write_config
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.transfers import retrieve

pytestmark = [pytest.mark.anyio]

SENDERS = 4
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STORAGE = [Proposal(CT, (EXPLICIT,))]


@define
class Ledger:
    """What was sent, as digests by SOP Instance UID, and what of it was acknowledged."""

    random: random.Random
    sent: dict[str, bytes] = field(factory=dict)
    acknowledged: set[str] = field(factory=set)
    studies: dict[str, set[str]] = field(factory=dict)
    """UIDs that were acknowledged, by study: one study for each life of the node."""
    numbers: Callable[[], int] = field(factory=lambda: count(1).__next__)

    def instance(self, study: str) -> tuple[str, bytes]:
        """Return a new instance, small or of a few hundred kilobytes."""
        uid = f"2.25.{self.numbers()}"
        values = {
            "SOPClassUID": CT,
            "SOPInstanceUID": uid,
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.{self.random.randrange(3)}",
            "PatientID": study,
            "PatientName": "Kill^Nine",
        }
        head = encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)
        size = self.random.choice((100, 5_000, 40_000, 300_000)) // 2 * 2
        pixels = b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
        dataset = head + pixels + self.random.randbytes(size)
        self.sent[uid] = sha256(dataset).digest()
        return uid, dataset

    def acknowledge(self, study: str, uid: str) -> None:
        self.acknowledged.add(uid)
        self.studies.setdefault(study, set()).add(uid)


async def send(peer: Peer, study: str, ledger: Ledger, started: anyio.Event) -> None:
    """Store one instance after the other until the node dies."""
    try:
        async with connect(peer, STORAGE) as association:
            while True:
                uid, dataset = ledger.instance(study)
                response = await association.c_store(CT, uid, dataset)
                assert response.status == 0x0000
                ledger.acknowledge(study, uid)
                started.set()
    except AssociationError:
        pass


async def digests(peer: Peer, study: str) -> dict[str, bytes]:
    """Return the digests of all instances of a study, as a C-GET brings them."""
    received: dict[str, Any] = {}

    def take(uid: str, chunk: bytes | memoryview) -> None:
        received.setdefault(uid, sha256()).update(chunk)

    last = await retrieve(peer, {"StudyInstanceUID": study}, CT, take)
    assert (last.status, last.number_of_failed_suboperations or 0) == (0x0000, 0)
    return {uid: digest.digest() for uid, digest in received.items()}


async def check(peer: Peer, study: str, ledger: Ledger) -> None:
    """What comes is what was sent, and all that was acknowledged comes."""
    received = await digests(peer, study)
    assert received.items() <= ledger.sent.items()
    assert ledger.studies.get(study, set()) <= received.keys()


async def live(peer: Peer, study: str, ledger: Ledger, kill: Callable[[], None]) -> None:
    """Let senders work until the node is killed, at a moment of chance."""
    started = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(SENDERS):
            tasks.start_soon(send, peer, study, ledger, started)
        if ledger.random.random() < 0.8:
            await started.wait()
        await anyio.sleep(ledger.random.uniform(0, 0.3))
        kill()


@contextmanager
def served(data_directory: Path, port: int) -> Iterator[tuple[Peer, Callable[[], None]]]:
    """Run ``pacs serve``, forked from a process that has imported it: fifty starts are too slow.

    Yields the node as a peer, and what kills it.
    """
    context = multiprocessing.get_context("forkserver")
    plugins = [point.module for point in entry_points(group="pacs_core.plugins")]
    context.set_forkserver_preload(
        ["pacs_core.cli.commands.serve", "anyio._backends._asyncio", *plugins]
    )
    config = write_config(data_directory, {"node": {"port": port}, "log": {"level": "error"}})
    process = context.Process(target=main, args=(["serve", "--config", str(config)],))
    process.start()

    def kill() -> None:
        process.kill()
        process.join()

    try:
        await_port(port, process.is_alive)
        yield Peer("PACS", "127.0.0.1", port), kill
    finally:
        kill()
        process.close()


def await_port(port: int, is_alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert is_alive(), "the node did not start"
            assert time.monotonic() < deadline, "the node does not listen"
            time.sleep(0.01)
        else:
            return


def other_files(data_directory: Path) -> list[str]:
    """Files of the store that are no objects: what was on its way when the node died."""
    root = data_directory / "objects"
    return [str(path) for path in root.rglob("*") if path.is_file() and path.suffix != ".dcm"]


@pytest.mark.parametrize("rounds", [15, pytest.param(50, marks=pytest.mark.long)])
async def test_killed_again_and_again(tmp_path: Path, rounds: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # shown if the test fails
    ledger = Ledger(random.Random(seed))
    data_directory = tmp_path / "data"
    port = find_free_port()
    before: str | None = None
    for number in range(1, rounds + 1):
        with served(data_directory, port) as (peer, kill):
            assert other_files(data_directory) == []
            if before is not None:
                await check(peer, before, ledger)
            before = f"1.2.826.0.1.{number}"
            await live(peer, before, ledger, kill)
    assert len(ledger.acknowledged) > rounds

    def verify() -> list[Difference]:
        async def differences() -> list[Difference]:
            opened = node.node.opened
            return [found async for found in verify_index(opened.store, opened.index)]

        return node.call(differences)

    with node_thread(data_directory) as node:
        for study in ledger.studies:
            await check(node.peer, study, ledger)
        found = await anyio.to_thread.run_sync(verify)
        # An object that was committed but not yet indexed was never acknowledged.
        assert {difference.kind for difference in found} <= {DifferenceKind.ORPHAN}
        assert {difference.sop_instance_uid for difference in found}.isdisjoint(ledger.acknowledged)
        assert other_files(data_directory) == []
