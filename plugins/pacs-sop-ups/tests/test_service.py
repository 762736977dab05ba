"""The provider of procedure steps, on the contract suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_ups import pacs_service_providers
from pacs_sop_ups.api import UnifiedProcedureSteps
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.database_steps import DatabaseProcedureSteps
from pacs_sop_ups.service import UpsProvider
from pacs_sop_ups.sop_classes import UPS_PULL, UPS_PUSH, UPS_WATCH
from pacs_sop_ups.steps import LABEL, STATE, TRANSACTION
from pacs_sop_ups.testing import sample_attributes

from pacs_core.contracts import (
    Node,
    NodeSettings,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Attributes, encode_attributes, tag_of
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import MemoryOperation, answer, memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

KNOWN = "1.2.3.4"
CONFIG = UpsConfig(max_bytes=64 << 10, strict=True)
SETUP = Setup(NodeSettings(), {UpsConfig: CONFIG})
CLAIM: Attributes = {STATE: ("IN PROGRESS",), TRANSACTION: ("1.2.3.5",)}


@asynccontextmanager
async def with_steps(node: Node, directory: Path) -> AsyncIterator[Node]:
    """Give a node the capability that the provider needs, and a step."""
    async with open_database(directory) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        steps = DatabaseProcedureSteps(database, queue, CONFIG)
        await steps.start()
        await steps.create(KNOWN, sample_attributes())
        node.capabilities.provide(UnifiedProcedureSteps, steps)  # type: ignore[type-abstract]
        yield node


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[UpsProvider]:
    async with with_steps(memory_node(), tmp_path) as node:
        yield UpsProvider(node, CONFIG)


def example(
    field: CommandField,
    attributes: Attributes,
    *,
    action: int | None = None,
    uid: str | None = KNOWN,
) -> Example:
    """Return a request in the context that it belongs to."""
    who = "affected" if field is CommandField.N_CREATE_RQ else "requested"
    identity = {f"{who}_sop_class_uid": UPS_PUSH, f"{who}_sop_instance_uid": uid}
    command = Command(field=field, message_id=1, action_type_id=action, **identity)  # type: ignore[arg-type]
    return Example(command, encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN))


CREATE = example(CommandField.N_CREATE_RQ, sample_attributes(), uid=None)
SET = example(CommandField.N_SET_RQ, {LABEL: ("y",)})
GET = example(CommandField.N_GET_RQ, {})


class TestUpsProvider(ServiceProviderContract):
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
        return [CREATE, GET]


async def asked(provider: UpsProvider, wanted: Example, context: str) -> int:
    operation: MemoryOperation = wanted.operation()
    operation.context = evolve(operation.context, abstract_syntax=context)
    return (await answer(provider, operation)).status


async def test_a_strict_site_puts_nothing_right(provider: UpsProvider) -> None:
    attributes = sample_attributes()
    for broken, status in (
        ({**attributes, TRANSACTION: ("1.2.3",)}, 0x0106),
        ({tag: v for tag, v in attributes.items() if v or tag == TRANSACTION}, 0x0120),
    ):
        wanted = example(CommandField.N_CREATE_RQ, broken, uid=None)
        assert await asked(provider, wanted, UPS_PUSH) == status
    patient = example(CommandField.N_SET_RQ, {0x0010_0020: ("4712",)})
    assert await asked(provider, patient, UPS_PULL) == 0x0105
    assert await asked(provider, SET, UPS_PULL) == 0x0000


async def test_a_performer_may_be_known_by_its_ae_title(provider: UpsProvider) -> None:
    claim = example(CommandField.N_ACTION_RQ, CLAIM, action=1)
    assert await asked(provider, claim, UPS_PULL) == 0x0000
    assert await asked(provider, SET, UPS_PULL) == 0xC301
    steps = provider.node.find(UnifiedProcedureSteps)  # type: ignore[type-abstract]
    believing = Setup(NodeSettings(), {UpsConfig: UpsConfig(believe_performer=True)})
    await steps.reconfigure(believing)
    assert await asked(provider, SET, UPS_PULL) == 0x0000
    end = example(CommandField.N_ACTION_RQ, {STATE: ("CANCELED",)}, action=1)
    assert await asked(provider, end, UPS_PULL) == 0x0000
    assert await asked(provider, GET, UPS_WATCH) == 0x0000


async def test_many_items_are_refused_before_they_are_looked_at(tmp_path: Path) -> None:
    many: Attributes = {tag_of("InputInformationSequence"): ({},) * 60_000}
    async with with_steps(memory_node(), tmp_path) as node:
        for config in (CONFIG, UpsConfig()):  # By their bytes, and by their number.
            wanted = example(CommandField.N_SET_RQ, many)
            assert await asked(UpsProvider(node, config), wanted, UPS_PULL) == 0x0213
