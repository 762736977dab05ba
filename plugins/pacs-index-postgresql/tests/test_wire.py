"""Two nodes with one index and one folder of objects, seen from outside; their server is killed."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

import anyio
import pytest
from anyio import to_thread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from pacs_core import connect
from pacs_core.association import AssociationError, Proposal
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.node import NodeProcess, node_process
from pacs_core.testing.postgresql import PostgresqlServer, postgresql_server

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.2"


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresqlServer]:
    """A server that may be killed."""
    try:
        with postgresql_server() as server:
            yield server
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def nodes(
    database: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[NodeProcess]]:
    """Two nodes."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "dsn").write_text(database.url)
    tables = {
        "archive": {"index": "postgresql"},
        "plugin": {
            "index-postgresql": {"dsn": {"file": str(folder / "dsn")}, "timeout": 60.0},
            "store-filesystem": {"root": str(folder / "objects")},
        },
    }
    for name in ("one", "two"):
        (folder / name).mkdir()
    with node_process(folder / "one", tables) as one, node_process(folder / "two", tables) as two:
        yield [one, two]


def make(number: int) -> tuple[str, bytes]:
    """Return an instance's UID and dataset."""
    uid = f"{ROOT}.9.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "Modality": "CT",
        "StudyInstanceUID": f"{ROOT}.1",
        "SeriesInstanceUID": f"{ROOT}.1.{number % 3}",
        "InstanceNumber": str(number),
    }
    return uid, encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)


def find(node: NodeProcess, **keys: str) -> list[Dataset]:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID, identifier.SOPInstanceUID = f"{ROOT}.1", ""
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    model = StudyRootQueryRetrieveInformationModelFind
    ae = AE("TEST")
    ae.add_requested_context(model)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    answers = list(association.send_c_find(identifier, model))
    association.release()
    assert answers[-1][0].Status == 0x0000
    return [answer for status, answer in answers if status.Status in (0xFF00, 0xFF01) and answer]


def get(node: NodeProcess, uid: str) -> list[str]:
    got: list[str] = []

    def keep(event: Any) -> int:
        got.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    model = StudyRootQueryRetrieveInformationModelGet
    ae = AE("TEST")
    ae.add_requested_context(model)
    ae.add_requested_context(CTImageStorage, EXPLICIT)
    association = ae.associate(
        "127.0.0.1",
        node.port,
        ae_title="PACS",
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID, identifier.SOPInstanceUID = f"{ROOT}.1", uid
    identifier.SeriesInstanceUID = f"{ROOT}.1.{int(uid.rsplit('.', 1)[1]) % 3}"
    statuses = [status.Status for status, _ in association.send_c_get(identifier, model)]
    association.release()
    assert statuses[-1] == 0x0000
    return got


async def test_what_one_node_acknowledged_the_other_has(
    database: PostgresqlServer, nodes: list[NodeProcess]
) -> None:
    """Eight senders to two nodes, while the database is killed and started again."""
    acknowledged: set[int] = set()
    numbers, done = count(), anyio.Event()

    async def send(node: NodeProcess) -> None:
        while not done.is_set():
            number = next(numbers)
            try:
                async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
                    while not done.is_set():
                        if (await association.c_store(CT, *make(number))).status == 0x0000:
                            acknowledged.add(number)
                            number = next(numbers)
            except (AssociationError, OSError):
                continue

    async with anyio.create_task_group() as tasks:
        for n in range(8):
            tasks.start_soon(send, nodes[n % 2])
        for goal in (40, 80):
            while len(acknowledged) < goal:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            await to_thread.run_sync(database.kill)
            await to_thread.run_sync(database.start)
        while len(acknowledged) < 120:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        done.set()
    wanted = {make(number)[0] for number in acknowledged}
    for node in nodes:
        found = [answer.SOPInstanceUID for answer in await to_thread.run_sync(find, node)]
        assert len(found) == len(set(found))
        assert wanted <= set(found)
    uid = make(min(acknowledged))[0]
    assert await to_thread.run_sync(get, nodes[0], uid) == [uid]
    assert await to_thread.run_sync(get, nodes[1], uid) == [uid]


async def test_the_index_is_verified_and_built_again(nodes: list[NodeProcess]) -> None:
    uid, dataset = make(1_000_000)
    async with connect(nodes[0].peer, [Proposal(CT, (EXPLICIT,))]) as association:
        assert (await association.c_store(CT, uid, dataset)).status == 0x0000
    for node in nodes:
        assert node.stop() == 0
    config = nodes[0].data_directory / "pacs.toml"
    for command in ("verify", "rebuild", "verify"):
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs
            [sys.executable, "-m", "pacs_core.cli.main", "index", command, "--config", str(config)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
