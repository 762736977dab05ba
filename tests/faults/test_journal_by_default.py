"""A journal that nobody has asked for: made by a real node, and replayed by one without."""

import subprocess
import sys
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio

from pacs_core.archive import JOURNAL_AFTER
from pacs_core.association import Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "1.2.826.0.1.3680043.10.2"
SMALL, LARGE = 2_000, 80_000
ARCHIVE = ("sop-storage", "sop-query-retrieve", "index-sqlite", "store-filesystem")


def make(number: int, size: int) -> tuple[str, bytes]:
    uid = f"{STUDY}.2.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
    }
    header = encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)
    pixels = number.to_bytes(4, "little") * (size // 4)
    return uid, header + b"\xe0\x7f\x10\0OW\0\0" + len(pixels).to_bytes(4, "little") + pixels


async def store(peer: Peer, numbers: range, size: int = SMALL) -> None:
    async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
        for number in numbers:
            uid, dataset = make(number, size)
            assert (await association.c_store(CT, uid, dataset)).status == 0x0000


async def digests(peer: Peer) -> dict[str, bytes]:
    received: dict[str, Any] = {}

    def take(uid: str, chunk: bytes | memoryview) -> None:
        received.setdefault(uid, sha256()).update(chunk)

    last = await retrieve(peer, {"StudyInstanceUID": STUDY}, CT, take)
    assert last.status == 0x0000
    return {uid: digest.digest() for uid, digest in received.items()}


def segments(data: Path) -> list[Path]:
    return list(data.glob("journal-0/segment-*"))


def test_a_node_makes_one_once_it_has_stored_enough(tmp_path: Path) -> None:
    """Killed, it is replayed by a node that is to have none; what was deleted stays deleted."""
    nodes: list[AbstractContextManager[Any]] = [
        node_process(tmp_path, table, plugins=ARCHIVE)
        for table in ({}, {"archive": {"journal": False}})
    ]
    with nodes[0] as node:
        anyio.run(store, node.peer, range(1000, 1000 + JOURNAL_AFTER), LARGE)
        anyio.run(store, node.peer, range(JOURNAL_AFTER - 1))
        assert not segments(tmp_path)
        anyio.run(store, node.peer, range(JOURNAL_AFTER - 1, JOURNAL_AFTER))
        until(lambda: len(segments(tmp_path)) == 2)
        last = 2 * JOURNAL_AFTER
        anyio.run(store, node.peer, range(JOURNAL_AFTER, last))
        command = [sys.executable, "-m", "pacs_core.cli.main", "delete", "--data", str(tmp_path)]
        gone = make(last - 1, SMALL)[0]
        deleted = subprocess.run(
            [*command, "--instance", gone, "--yes"], capture_output=True, text=True, check=False
        )
        assert deleted.stdout == "1 instance deleted\n", deleted.stderr
        anyio.run(store, node.peer, range(last, last + 30))
        node.kill()
    with nodes[1] as node:
        expected = [make(number, SMALL) for number in range(last + 30)]
        expected += [make(number, LARGE) for number in range(1000, 1000 + JOURNAL_AFTER)]
        found = anyio.run(digests, node.peer)
        assert found == {uid: sha256(data).digest() for uid, data in expected if uid != gone}
        assert not segments(tmp_path)
        anyio.run(store, node.peer, range(2000, 2000 + JOURNAL_AFTER))
        assert not segments(tmp_path)
        assert node.stop() == 0
    with node_process(tmp_path, {}, plugins=ARCHIVE) as node:
        anyio.run(store, node.peer, range(3000, 3000 + JOURNAL_AFTER))
        until(lambda: len(segments(tmp_path)) == 2)
        assert node.stop() == 0
    left = {path.name for path in tmp_path.glob("journal-0/*")}
    assert left == {"lock", "flushes"}, "a data directory of a node that ended well can be copied"
