"""C-ECHO, answered (PS3.4 Annex A)."""

import pytest
from pacs_sop_verification import VERIFICATION, Verification, pacs_service_providers

from pacs_core.contracts import AuditKind, AuditTrail, NodeSettings, Outcome, Setup
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import MemoryAuditTrail, MemoryOperation, answer
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio


def echo() -> Command:
    return Command(field=CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)


class TestContract(ServiceProviderContract):
    @pytest.fixture
    def descriptor(self):
        return pacs_service_providers(Setup(NodeSettings()))[0]

    @pytest.fixture
    def examples(self):
        return [Example(echo())]


async def test_c_echo_succeeds_and_is_recorded():
    audit = MemoryAuditTrail()
    response = await answer(Verification(audit), MemoryOperation(echo()))
    assert response.status == 0x0000
    [event] = audit.events
    assert (event.kind, event.outcome) == (AuditKind.C_ECHO, Outcome.SUCCESS)
    assert event.origin.calling_ae_title == "SCU"


async def test_other_commands_are_unrecognized_operations():
    """PS3.7 Annex C: 0211H."""
    command = Command(
        field=CommandField.N_DELETE_RQ, message_id=1, requested_sop_class_uid=VERIFICATION
    )
    audit: AuditTrail = MemoryAuditTrail()
    response = await answer(Verification(audit), MemoryOperation(command))
    assert response.status == 0x0211
    assert "N_DELETE_RQ" in response.comment
