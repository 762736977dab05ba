"""A node whose bucket is away while senders go on: taken, then refused, then taken again."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.datasets import SampleDataset, SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

from .clouds import objects_in
from .fault_proxy import SLOW_DOWN, Fault, FaultProxy, run_fault_proxy

SIZE = 50_000
ROOM = 10
SENDERS = 4
COUNT = 10
"""Objects that each sender stores before it goes."""


@pytest.fixture
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


class Sender:
    """Stores its objects one after the other; what is refused for lack of room comes again."""

    def __init__(self) -> None:
        study = SampleStudy()
        pixels = bytes(SIZE)
        self.datasets = [study.make("CT", PixelData=pixels) for _ in range(COUNT)]
        self.study = study.study_instance_uid
        self.acknowledged: dict[str, bytes] = {}
        self.refusals = 0

    async def run(self, peer: Peer) -> None:
        async with connect(peer, [Proposal(self.datasets[0].sop_class_uid)]) as association:
            for each in self.datasets:
                while not await self._store(association, each):  # noqa: ASYNC110 its turn comes
                    await anyio.sleep(0.05)

    async def _store(self, association: Any, dataset: SampleDataset) -> bool:
        data = dataset.encode()
        response = await association.c_store(dataset.sop_class_uid, dataset.sop_instance_uid, data)
        if response.status == 0x0000:
            self.acknowledged[dataset.sop_instance_uid] = sha256(data).digest()
            return True
        assert response.status == 0xA700
        self.refusals += 1
        return False


def test_a_bucket_that_is_away_under_load_until_the_spool_is_full(
    proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACS_TEST_CLOUD_KEY", "testing")
    secret = {"env": "PACS_TEST_CLOUD_KEY"}
    tables = {
        "archive": {"store": "main", "space": {"reserve": 0}},
        "stores": {
            "disk": {"type": "filesystem"},
            "main": {
                "type": "s3", "bucket": BUCKET, "endpoint": proxy.url, "allow_http": True,
                "prefix": "away", "access_key_id": secret, "secret_access_key": secret,
                "spool": "disk", "spool_size": ROOM * SIZE, "spool_grace": 0.0, "deadline": 1.0,
            },
        },
    }  # fmt: skip
    spool = tmp_path / "stores" / "disk"
    senders = [Sender() for _ in range(SENDERS)]

    async def run(peer: Peer) -> None:
        async with anyio.create_task_group() as tasks:
            for each in senders:
                tasks.start_soon(each.run, peer)
            await anyio.to_thread.run_sync(come_back_when_all_were_refused)

    def come_back_when_all_were_refused() -> None:
        until(lambda: all(each.refusals > 3 for each in senders))
        # Full, but for what was on its way when it became so.
        held = sum(path.stat().st_size for path in objects_in(spool))
        assert ROOM * SIZE <= held < (ROOM + SENDERS + 1) * 1.1 * SIZE
        assert sum(len(each.acknowledged) for each in senders) <= ROOM + SENDERS
        proxy.always = None

    with node_thread(tmp_path, tables) as node:
        proxy.always = lambda method, path: Fault(answer=SLOW_DOWN)
        anyio.run(run, node.peer)
        until(lambda: not objects_in(spool))
        for each in senders:
            assert len(each.acknowledged) == COUNT
            received: dict[str, Any] = {}

            def take(uid: str, chunk: bytes | memoryview) -> None:
                received.setdefault(uid, sha256()).update(chunk)  # noqa: B023

            keys = {"StudyInstanceUID": each.study}
            sop_class = each.datasets[0].sop_class_uid
            assert anyio.run(retrieve, node.peer, keys, sop_class, take).status == 0x0000
            found = {uid: digest.digest() for uid, digest in received.items()}
            assert found == each.acknowledged
