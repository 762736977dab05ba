"""A node with this plugin, asked over the network by our requestor and by pynetdicom."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pacs_core.association import Association
from pacs_core.dataset import Attributes, items, tag_of, texts
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import NodeThread
from pydicom import Dataset
from pynetdicom import AE

from acme_integrity_check import CHECK_STUDY, CHECKER, INTEGRITY_CHECK

pytestmark = pytest.mark.anyio

PLUGINS = ("acme-integrity-check", "sop-storage", "store-filesystem", "index-sqlite")
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def node(pacs_node: Callable[..., NodeThread]) -> NodeThread:
    return pacs_node({"plugin": {"acme-integrity-check": {"max_failures": 2}}}, plugins=PLUGINS)


@pytest.fixture
async def association(
    node: NodeThread, pacs_association: Callable[..., Awaitable[Association]]
) -> Association:
    return await pacs_association(node, INTEGRITY_CHECK, CT)


@pytest.fixture
async def study(association: Association) -> str:
    """The UID of a study of three instances."""
    study = SampleStudy()
    for _ in range(3):
        ct = study.make("CT")
        response = await association.c_store(CT, ct.sop_instance_uid, ct.encode())
        assert response.status == 0x0000
    return study.study_instance_uid


def objects(node: NodeThread) -> list[Path]:
    return sorted((node.data_directory / "objects").rglob("*.dcm"))


async def check(association: Association, study: str) -> Attributes:
    information = {tag_of("StudyInstanceUID"): (study,)}
    response, reply = await association.n_action(INTEGRITY_CHECK, CHECKER, CHECK_STUDY, information)
    assert (response.status, response.action_type_id) == (0x0000, CHECK_STUDY)
    assert reply is not None
    return reply


def failures(reply: Attributes) -> list[int]:
    failed = items(reply, tag_of("FailedSOPSequence"))
    return [int(texts(item, tag_of("FailureReason"))[0]) for item in failed]


async def test_a_whole_study(association: Association, study: str) -> None:
    reply = await check(association, study)
    assert texts(reply, tag_of("NumberOfStudyRelatedInstances")) == ("3",)
    assert failures(reply) == []


async def test_an_object_is_gone(node: NodeThread, association: Association, study: str) -> None:
    objects(node)[1].unlink()
    reply = await check(association, study)
    assert texts(reply, tag_of("NumberOfStudyRelatedInstances")) == ("3",)
    assert failures(reply) == [0x0112]


@pytest.mark.parametrize("size", [0, 200, 500])
async def test_an_object_is_cut_short(
    node: NodeThread, association: Association, study: str, size: int
) -> None:
    path = objects(node)[0]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:size])
    assert failures(await check(association, study)) == [0x0110]


async def test_another_instance_in_its_place(
    node: NodeThread, association: Association, study: str
) -> None:
    one, other, _ = objects(node)
    one.chmod(0o600)
    one.write_bytes(other.read_bytes())
    assert failures(await check(association, study)) == [0x0110]


async def test_the_list_of_failures_is_bounded(
    node: NodeThread, association: Association, study: str
) -> None:
    for path in objects(node):
        path.unlink()
    assert failures(await check(association, study)) == [0x0112, 0x0112]


@pytest.mark.parametrize(
    ("instance", "action", "information", "status"),
    [
        (CHECKER, CHECK_STUDY, {"StudyInstanceUID": "1.2.3"}, 0x0115),
        (CHECKER, CHECK_STUDY, {"PatientID": "P1"}, 0x0115),
        (CHECKER, 2, {"StudyInstanceUID": "1.2.3"}, 0x0123),
        ("1.2.3", CHECK_STUDY, {"StudyInstanceUID": "1.2.3"}, 0x0112),
    ],
)
async def test_what_is_refused(
    association: Association, instance: str, action: int, information: dict[str, str], status: int
) -> None:
    attributes = {tag_of(word): (value,) for word, value in information.items()}
    response, reply = await association.n_action(INTEGRITY_CHECK, instance, action, attributes)
    assert (response.status, reply) == (status, None)


async def test_pynetdicom_asks_for_a_check(node: NodeThread, study: str) -> None:
    entity = AE()
    entity.add_requested_context(INTEGRITY_CHECK)
    peer = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    information = Dataset()
    information.StudyInstanceUID = study
    status, reply = peer.send_n_action(information, CHECK_STUDY, INTEGRITY_CHECK, CHECKER)
    peer.release()
    assert status.Status == 0x0000
    assert reply is not None
    assert reply.NumberOfStudyRelatedInstances == 3
    assert len(reply.FailedSOPSequence) == 0
