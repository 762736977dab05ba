"""The provider of performed steps, on the contract suite, and within its limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_mpps import pacs_check, pacs_job_kinds, pacs_service_providers
from pacs_sop_mpps.api import PerformedProcedureSteps
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.database_steps import DatabasePerformedSteps
from pacs_sop_mpps.service import MppsProvider
from pacs_sop_mpps.sop_classes import MPPS, MPPS_RETRIEVE
from pacs_sop_mpps.steps import SCHEDULED, SERIES, STATUS, EventType
from pacs_sop_mpps.subscribers import Event, Subscribers
from pacs_sop_mpps.testing import sample_attributes

from pacs_core.contracts import (
    Access,
    AccessDeniedError,
    AccessGuard,
    Node,
    NodeSettings,
    Not,
    Response,
    Restriction,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SingleValue,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    encode_attributes,
    parse_attributes,
    tag_of,
)
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import MemoryDataset, MemoryOperation, answer, memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

KNOWN = "1.2.3.4"
CONFIG = MppsConfig(max_bytes=64 << 10)
SETUP = Setup(NodeSettings(), {MppsConfig: CONFIG})
COMMENT = tag_of("CommentsOnThePerformedProcedureStep")
DESCRIPTION = tag_of("PerformedProcedureStepDescription")


@asynccontextmanager
async def with_steps(node: Node, directory: Path) -> AsyncIterator[Node]:
    """Give a node the capabilities that the provider needs, and a step."""
    async with open_database(directory) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        steps = DatabasePerformedSteps(database, queue, CONFIG)
        await steps.start()
        await steps.create(KNOWN, sample_attributes())
        node.capabilities.provide(JobQueue, queue)  # type: ignore[type-abstract]
        node.capabilities.provide(PerformedProcedureSteps, steps)  # type: ignore[type-abstract]
        node.capabilities.provide(Subscribers, Subscribers())
        yield node


@pytest.fixture
async def mpps_node(tmp_path: Path) -> AsyncIterator[Node]:
    async with with_steps(memory_node(), tmp_path) as node:
        yield node


def encode(attributes: Attributes) -> bytes:
    return encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)


def create(attributes: Attributes, uid: str | None = None) -> Example:
    command = Command(
        field=CommandField.N_CREATE_RQ,
        message_id=1,
        affected_sop_class_uid=MPPS,
        affected_sop_instance_uid=uid,
    )
    return Example(command, encode(attributes))


def change(attributes: Attributes) -> Example:
    command = Command(
        field=CommandField.N_SET_RQ,
        message_id=1,
        requested_sop_class_uid=MPPS,
        requested_sop_instance_uid=KNOWN,
    )
    return Example(command, encode(attributes))


GET = Example(
    Command(
        field=CommandField.N_GET_RQ,
        message_id=1,
        requested_sop_class_uid=MPPS_RETRIEVE,
        requested_sop_instance_uid=KNOWN,
    )
)


class TestMppsProvider(ServiceProviderContract):
    @pytest.fixture
    def descriptor(self) -> ServiceProviderDescriptor:
        return pacs_service_providers(SETUP)[0]

    @pytest.fixture
    async def provider(
        self, descriptor: ServiceProviderDescriptor, node: Node, tmp_path: Path
    ) -> AsyncIterator[ServiceProvider]:
        async with with_steps(node, tmp_path):
            yield descriptor.create(node)

    @pytest.fixture
    def examples(self) -> list[Example]:
        return [create(sample_attributes()), change({COMMENT: ("fine",)}), GET]


@pytest.fixture
async def provider(mpps_node: Node) -> MppsProvider:
    return MppsProvider(mpps_node, CONFIG)


async def asked(provider: MppsProvider, example: Example) -> Response:
    return await answer(provider, example.operation())


async def test_a_step_without_a_uid_is_given_one(provider: MppsProvider) -> None:
    """PS3.7 §10.1.5.1.4: the performer assigns one, and says which."""
    response = await asked(provider, create(sample_attributes()))
    assert response.affected_sop_instance_uid
    steps = provider.node.find(PerformedProcedureSteps)  # type: ignore[type-abstract]
    assert (await steps.find(response.affected_sop_instance_uid)).state == "IN PROGRESS"


async def test_what_is_missing_is_listed(provider: MppsProvider) -> None:
    attributes = sample_attributes()
    del attributes[tag_of("Modality")]
    item = dict(attributes[SCHEDULED][0])  # type: ignore[arg-type]
    del item[tag_of("StudyInstanceUID")]
    response = await asked(provider, create({**attributes, SCHEDULED: (item,)}))
    assert response.status == 0x0120
    missing = {tag_of("Modality"), tag_of("StudyInstanceUID")}
    assert set(response.attribute_identifier_list) == missing


async def test_what_is_wrong_is_the_offending_element(provider: MppsProvider) -> None:
    response = await asked(provider, change({STATUS: ("DONE",)}))
    assert (response.status, response.offending_element) == (0x0106, (STATUS,))


def nested(depth: int) -> Attributes:
    inner: Attributes = {COMMENT: ("deep",)}
    for _ in range(depth):
        inner = {tag_of("PerformedProtocolCodeSequence"): (inner,)}
    return inner


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({COMMENT: ("x" * 60_000,), DESCRIPTION: ("x" * 60_000,)}, 0x0213),
        ({SERIES: tuple({tag_of("CodeValue"): (str(n),)} for n in range(10_000))}, 0x0213),
        ({SERIES: ({},) * 6_000}, 0x0000),
        (nested(40), 0x0110),
    ],
    ids=["long", "many", "empty", "deep"],
)
async def test_limits(provider: MppsProvider, attributes: Attributes, status: int) -> None:
    assert (await asked(provider, change(attributes))).status == status
    assert (await asked(provider, GET)).status == 0x0000


async def test_many_items_are_refused_before_they_are_looked_at(mpps_node: Node) -> None:
    provider = MppsProvider(mpps_node, MppsConfig())
    items = tuple({tag_of("CodeValue"): (str(n),)} for n in range(60_000))
    response = await asked(provider, change({tag_of("ProcedureCodeSequence"): items}))
    assert response.status == 0x0213


async def test_what_grows_beyond_the_limit_is_refused(provider: MppsProvider) -> None:
    """Each request is short enough, but not what comes of all of them."""
    long = [{tag: ("x" * 40_000,)} for tag in (COMMENT, DESCRIPTION)]
    assert [(await asked(provider, change(each))).status for each in long] == [0x0000, 0x0213]


async def test_a_class_that_is_none_of_these_is_0118(provider: MppsProvider) -> None:
    command = evolve(GET.command, requested_sop_class_uid="1.2.840.10008.1.1")
    operation = MemoryOperation(command, dataset=MemoryDataset())
    operation.context = evolve(operation.context, abstract_syntax=MPPS_RETRIEVE)
    assert (await answer(provider, operation)).status == 0x0118


async def test_an_answer_has_what_was_asked_for(provider: MppsProvider) -> None:
    tags = (STATUS, tag_of("PatientName"))
    example = evolve(GET, command=evolve(GET.command, attribute_identifier_list=tags))
    response = await asked(provider, example)
    assert isinstance(response.dataset, bytes)
    got = parse_attributes(response.dataset, EXPLICIT_VR_LITTLE_ENDIAN)
    assert got == {STATUS: ("IN PROGRESS",), tag_of("PatientName"): ("Doe^Jane",)}


async def test_strictness_can_change_while_it_runs(provider: MppsProvider) -> None:
    attributes = sample_attributes()
    del attributes[tag_of("StudyID")]
    steps = provider.node.find(PerformedProcedureSteps)  # type: ignore[type-abstract]
    assert (await asked(provider, create(attributes))).status == 0x0000
    strict = Setup(NodeSettings(), {MppsConfig: MppsConfig(strict=True)})
    await steps.reconfigure(strict)
    assert (await asked(provider, create(attributes))).status == 0x0120
    await steps.reconfigure(SETUP)
    assert (await asked(provider, create(attributes))).status == 0x0000


def test_peers_that_there_are_not_are_a_problem() -> None:
    config = MppsConfig(forward=("ris",), notify=("his",))
    problems = pacs_check(Setup(NodeSettings(), {MppsConfig: config}))
    assert problems == [
        "plugin.sop-mpps.forward: there is no [peers.ris]",
        "plugin.sop-mpps.notify: there is no [peers.his]",
    ]


async def test_each_kind_of_job_has_a_handler(mpps_node: Node) -> None:
    kinds = {kind.name: kind for kind in pacs_job_kinds(SETUP)}
    assert kinds.keys() == {"mpps.forward", "mpps.notify", "mpps.worklist", "mpps.expire"}
    for kind in kinds.values():
        await kind.create(mpps_node).start()


class Guard(AccessGuard):
    """Denies, or restricts."""

    def __init__(self, restrictions: tuple[Restriction, ...] | None) -> None:
        self.restrictions = restrictions

    async def require(self, access: Access) -> tuple[Restriction, ...]:
        if self.restrictions is None:
            raise AccessDeniedError("no")
        return self.restrictions


@pytest.mark.parametrize(
    ("restrictions", "told"),
    [
        ((), True),
        ((SingleValue(tag_of("Modality"), "CT"),), True),
        ((SingleValue(tag_of("Modality"), "MR"),), False),
        ((Not(SingleValue(tag_of("BodyPartExamined"), "HEAD")),), False),
        (None, False),
    ],
    ids=["anything", "this", "another", "unknown", "denied"],
)
async def test_subscribers_are_told_of_what_they_may_know(
    mpps_node: Node, restrictions: tuple[Restriction, ...] | None, told: bool
) -> None:
    subscribers, link = Subscribers(), MemoryOperation(GET.command).link
    steps = mpps_node.find(PerformedProcedureSteps)  # type: ignore[type-abstract]
    mpps_node = evolve(mpps_node, access=Guard(restrictions))
    await subscribers.add(mpps_node, link)
    step = await steps.create("1.2.3.9", sample_attributes())
    event = Event(step.created, step.instance_uid, EventType.IN_PROGRESS)
    earlier = evolve(event, moment=step.created - 60)
    wanted = subscribers.subscriptions.get(link.association.id)
    assert (wanted is not None and wanted.covers(event, step, restrictions or ())) is told
    assert wanted is None or not wanted.covers(earlier, step)
    subscribers.discard(link.association.id)
    assert subscribers.subscriptions == {}
