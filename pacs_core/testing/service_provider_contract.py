"""Contract of service providers, as tests that plugin authors inherit.

Example
-------
::

    class TestEcho(ServiceProviderContract):
        @pytest.fixture
        def descriptor(self) -> ServiceProviderDescriptor:
            return pacs_service_providers(Setup(NodeSettings()))[0]

        @pytest.fixture
        def examples(self) -> list[Example]:
            return [Example(Command(field=CommandField.C_ECHO_RQ, message_id=1, ...))]
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import anyio
import pytest
from anyio.abc import TaskStatus
from attrs import define, evolve, field, frozen

from pacs_core.contracts import (
    AssociationInfo,
    DatasetStream,
    Node,
    Response,
    ServiceProvider,
    ServiceProviderDescriptor,
)
from pacs_core.dimse import (
    LAYOUTS,
    Command,
    CommandField,
    DatasetRule,
    StatusCategory,
    category,
    is_valid_uid,
)
from pacs_core.testing.operations import MemoryDataset, MemoryOperation, answer, memory_node

_REQUESTS: Final = tuple(
    kind for kind in CommandField if kind & 0x8000 == 0 and kind is not CommandField.C_CANCEL_RQ
)

_NESTED: Final = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"

HOSTILE_DATASETS: Final = {
    "truncated header": b"\x08\x00\x05",
    "value beyond the end": b"\x08\x00\x05\x00CS\xff\x7fISO_IR 100",
    "four gigabytes announced": b"\x10\x00\x10\x00UN\0\0\xfe\xff\xff\xff",
    "sequences nested deeply": _NESTED * 2000,
    "item without a sequence": b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 8,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "text": b"GET / HTTP/1.1\r\nHost: example.invalid\r\n\r\n",
}
"""Datasets, by what is wrong with them, that no provider may take or trip over."""


@frozen
class Example:
    """A request that the provider answers without failure, on an association if it matters."""

    command: Command
    dataset: bytes = b""
    association: AssociationInfo | None = None

    def operation(self) -> MemoryOperation:
        """Return the request as an operation of its own."""
        operation = MemoryOperation(self.command, dataset=MemoryDataset(self.dataset))
        if self.association is not None:
            operation.association = self.association
        return operation


class LostAssociationError(Exception):
    """The association ended within a dataset."""


@define
class StalledDataset(DatasetStream):
    """Some fragments, then nothing more ever comes, or the association is lost."""

    data: bytes
    lost: bool
    reached: anyio.Event = field(factory=anyio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        """Yield the data, then stall."""
        yield self.data
        await self._stall()

    async def read(self, limit: int) -> bytes:
        """Stall."""
        await self._stall()
        return b""

    async def _stall(self) -> None:
        self.reached.set()
        if self.lost:
            raise LostAssociationError
        await anyio.sleep_forever()


def _takes_dataset(example: Example) -> bool:
    return LAYOUTS[example.command.field].dataset is not DatasetRule.FORBIDDEN


@pytest.mark.anyio
class ServiceProviderContract:
    """Subclass it, and say with two fixtures what to test.

    ``descriptor`` returns the :class:`ServiceProviderDescriptor`; ``examples`` returns requests
    that the provider answers well, one for each kind of request at least. Override ``node`` when
    the examples need something in the archive.
    """

    @pytest.fixture
    def descriptor(self) -> ServiceProviderDescriptor:
        """Return the descriptor of the provider."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        """Return requests that the provider answers without failure."""
        raise NotImplementedError("define the fixture `examples`")

    @pytest.fixture
    def node(self) -> Node:
        """Return the node that the provider is created for."""
        return memory_node()

    @pytest.fixture
    async def provider(
        self, descriptor: ServiceProviderDescriptor, node: Node
    ) -> AsyncIterator[ServiceProvider]:
        """Return the provider, started."""
        provider = descriptor.create(node)
        await provider.start()
        yield provider
        await provider.stop()

    def test_the_descriptor_names_sop_classes_and_syntaxes(
        self, descriptor: ServiceProviderDescriptor
    ) -> None:
        """A descriptor has a name, valid UIDs, and a role for each SOP class."""
        assert descriptor.name
        assert descriptor.sop_classes
        for uid, support in descriptor.sop_classes.items():
            assert is_valid_uid(uid)
            assert support.transfer_syntaxes
            assert all(map(is_valid_uid, support.transfer_syntaxes))
            assert support.scp or support.scu

    def test_creating_gives_a_provider_each_time(
        self, descriptor: ServiceProviderDescriptor, node: Node
    ) -> None:
        """Creating is repeatable and returns a service provider."""
        first, second = descriptor.create(node), descriptor.create(node)
        assert isinstance(first, ServiceProvider)
        assert first is not second

    @pytest.mark.parametrize("information", [b"", b"\x01", b"\xff" * 64, bytes(65535)])
    async def test_extended_negotiation_is_answered_whatever_is_asked(
        self, descriptor: ServiceProviderDescriptor, provider: ServiceProvider, information: bytes
    ) -> None:
        """The answer is no longer than the question (PS3.7 D.3.3.5), or there is none."""
        for uid in descriptor.sop_classes:
            negotiated = provider.negotiate(uid, information)
            assert negotiated is None or len(negotiated) <= len(information)

    async def test_examples_are_answered(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """The final response is no failure and not pending; the others are pending."""
        for example in examples:
            operation = example.operation()
            response = await answer(provider, operation)
            assert category(response.status) is StatusCategory.SUCCESS, response
            assert all(
                category(sent.status) is StatusCategory.PENDING for sent in operation.pending
            )

    async def test_other_kinds_of_request_are_refused(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """A request that the service does not know fails: 0211H, or as the provider says."""
        known = {example.command.field for example in examples}
        uid = examples[0].command.sop_class_uid
        for kind in set(_REQUESTS) - known:
            command = Command(
                field=kind,
                message_id=7,
                affected_sop_class_uid=uid,
                requested_sop_class_uid=uid,
                affected_sop_instance_uid="1.2.3",
                requested_sop_instance_uid="1.2.3",
            )
            response = await answer(provider, MemoryOperation(command))
            assert category(response.status) is StatusCategory.FAILURE, kind.name

    @pytest.mark.parametrize("hostile", HOSTILE_DATASETS.values(), ids=HOSTILE_DATASETS.keys())
    async def test_a_hostile_dataset_is_refused(
        self, provider: ServiceProvider, examples: Sequence[Example], hostile: bytes
    ) -> None:
        """What cannot be read is answered with a failure, and the next request is answered."""
        for example in filter(_takes_dataset, examples):
            response = await answer(provider, evolve(example, dataset=hostile).operation())
            assert category(response.status) is StatusCategory.FAILURE
        await self._still_answers(provider, examples)

    async def test_a_lost_association_is_no_success(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """A dataset that breaks off is not taken for a whole one."""
        for example in filter(_takes_dataset, examples):
            operation = example.operation()
            operation.dataset = StalledDataset(example.dataset, lost=True)
            try:
                response = await answer(provider, operation)
            except LostAssociationError:
                continue
            assert category(response.status) is StatusCategory.FAILURE
        await self._still_answers(provider, examples)

    async def test_a_handler_can_be_cancelled(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """Cancelling a handler that waits for its dataset ends it, and nothing else."""
        for example in filter(_takes_dataset, examples):
            operation = example.operation()
            operation.dataset = stalled = StalledDataset(example.dataset, lost=False)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(answer, provider, operation)
                await stalled.reached.wait()
                tasks.cancel_scope.cancel()
        await self._still_answers(provider, examples)

    async def test_c_cancel_ends_an_operation(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """After C-CANCEL at most one more pending response comes (PS3.7 §9.3.2.3)."""
        for example in examples:
            whole = example.operation()
            await answer(provider, whole)
            if len(whole.pending) < 3:
                continue
            operation = example.operation()
            operation.cancel_after = 1
            response = await answer(provider, operation)
            assert len(operation.pending) <= 2
            assert category(response.status) is StatusCategory.CANCEL

    async def test_operations_run_side_by_side(
        self, provider: ServiceProvider, examples: Sequence[Example]
    ) -> None:
        """One provider object serves many associations: answers do not mix."""
        operations = [example.operation() for example in examples for _ in range(8)]
        responses: dict[int, Response] = {}

        async def run(
            number: int, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        ) -> None:
            task_status.started()
            responses[number] = await answer(provider, operations[number])

        async with anyio.create_task_group() as tasks:
            for number in range(len(operations)):
                await tasks.start(run, number)
        for start in range(0, len(operations), 8):
            alike = operations[start : start + 8]
            assert all(o.pending == alike[0].pending for o in alike)
            statuses = {responses[start + offset].status for offset in range(8)}
            assert {category(status) for status in statuses} == {StatusCategory.SUCCESS}

    async def _still_answers(self, provider: ServiceProvider, examples: Sequence[Example]) -> None:
        response = await answer(provider, examples[0].operation())
        assert category(response.status) is StatusCategory.SUCCESS
