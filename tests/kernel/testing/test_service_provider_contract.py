"""The contract suite finds what is wrong with providers that break the contract."""

import pytest

from pacs_core.contracts import (
    Response,
    ServiceProvider,
    ServiceProviderDescriptor,
    SopClassSupport,
)
from pacs_core.dimse import Command, CommandField, DimseError
from pacs_core.testing.operations import MemoryOperation, answer
from pacs_core.testing.service_provider_contract import (
    HOSTILE_DATASETS,
    Example,
    ServiceProviderContract,
)

pytestmark = pytest.mark.anyio

SOP_CLASS = "1.2.3.4"


def find_request() -> Command:
    return Command(
        field=CommandField.C_FIND_RQ,
        message_id=1,
        affected_sop_class_uid=SOP_CLASS,
        priority=0,
        has_dataset=True,
    )


EXAMPLES = [Example(find_request(), b"good")]


class Careful(ServiceProvider):
    """A service with a small language of its own, and four matches."""

    async def handle(self, operation):
        if operation.command.field is not CommandField.C_FIND_RQ:
            raise DimseError(0x0211)
        if b"".join([bytes(chunk) async for chunk in operation.dataset]) != b"good":
            raise DimseError(0xA900)
        for _ in range(4):
            if operation.cancelled:
                return Response(0xFE00)
            await operation.send_pending()
        return Response(0x0000)


class Credulous(Careful):
    async def handle(self, operation):
        return Response(0x0000)


class Deaf(Careful):
    async def handle(self, operation):
        for _ in range(4):
            await operation.send_pending()
        return Response(0x0000)


class Verbose(Careful):
    def negotiate(self, sop_class_uid, application_information):
        return application_information + b"\x01"


class Endless(Careful):
    async def handle(self, operation):
        return Response(0xFF00)


class TestACarefulProvider(ServiceProviderContract):
    @pytest.fixture
    def descriptor(self):
        return ServiceProviderDescriptor(
            "careful", {SOP_CLASS: SopClassSupport()}, lambda node: Careful()
        )

    @pytest.fixture
    def examples(self):
        return EXAMPLES


async def test_kinds_that_are_not_refused_are_found():
    with pytest.raises(AssertionError):
        await ServiceProviderContract().test_other_kinds_of_request_are_refused(
            Credulous(), EXAMPLES
        )


async def test_hostile_datasets_that_are_taken_are_found():
    hostile = HOSTILE_DATASETS["truncated header"]
    with pytest.raises(AssertionError):
        await ServiceProviderContract().test_a_hostile_dataset_is_refused(
            Credulous(), EXAMPLES, hostile
        )


async def test_ignored_cancellation_is_found():
    with pytest.raises(AssertionError):
        await ServiceProviderContract().test_c_cancel_ends_an_operation(Deaf(), EXAMPLES)


async def test_a_pending_status_as_final_response_is_found():
    with pytest.raises(AssertionError):
        await ServiceProviderContract().test_examples_are_answered(Endless(), EXAMPLES)


async def test_too_long_an_answer_to_negotiation_is_found():
    descriptor = ServiceProviderDescriptor(
        "verbose", {SOP_CLASS: SopClassSupport()}, lambda node: Verbose()
    )
    contract = ServiceProviderContract()
    with pytest.raises(AssertionError):
        await contract.test_extended_negotiation_is_answered_whatever_is_asked(
            descriptor, Verbose(), b"\x01"
        )


def test_descriptors_that_make_no_sense_are_found():
    nonsense = ServiceProviderDescriptor(
        "nonsense", {"not a UID": SopClassSupport()}, lambda node: Careful()
    )
    with pytest.raises(AssertionError):
        ServiceProviderContract().test_the_descriptor_names_sop_classes_and_syntaxes(nonsense)


async def test_answer_turns_an_error_into_a_response_as_the_kernel_does():
    class Failing(ServiceProvider):
        async def handle(self, operation):
            raise DimseError(0xA700, "full", (0x00100010,))

    response = await answer(Failing(), MemoryOperation(find_request()))
    assert response == Response(0xA700, comment="full", offending_element=(0x00100010,))
