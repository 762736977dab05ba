"""C-STORE into the archive, and what becomes of it (PS3.4 Annex B)."""

import pytest
from attrs import evolve
from pacs_sop_storage import Storage, StorageConfig, pacs_service_providers

from pacs_core.contracts import (
    ERRORS,
    AuditKind,
    DuplicateInstanceError,
    IdentityMismatchError,
    IngestError,
    InstancePath,
    InvalidInstanceError,
    NodeSettings,
    Outcome,
    OutOfResourcesError,
    Setup,
)
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import (
    MemoryAuditTrail,
    MemoryDataset,
    MemoryOperation,
    accepted_context,
    answer,
)
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"


def store(**changes):
    command = Command(
        field=CommandField.C_STORE_RQ,
        message_id=1,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3.4",
        priority=0,
        has_dataset=True,
    )
    return evolve(command, **changes)


class TestContract(ServiceProviderContract):
    @pytest.fixture
    def descriptor(self):
        setup = Setup(NodeSettings(), {StorageConfig: StorageConfig()})
        return pacs_service_providers(setup)[0]

    @pytest.fixture
    def examples(self, ct_dataset):
        return [Example(store(), ct_dataset)]


@pytest.fixture
def archive():
    return MemoryArchive()


@pytest.fixture
def audit():
    return MemoryAuditTrail()


@pytest.fixture
def provider(archive, audit):
    return Storage(archive, audit)


class FailingArchive(MemoryArchive):
    def __init__(self, error):
        super().__init__()
        self.error = error

    async def ingest(self, dataset, **announced):
        raise self.error


async def test_an_instance_is_stored_byte_for_byte(provider, archive, ct_dataset):
    dataset = MemoryDataset(ct_dataset, fragment=7)
    response = await answer(provider, MemoryOperation(store(), dataset=dataset))
    assert response.status == 0x0000
    instance = await archive.locate(InstancePath("1.2.3", "1.2.3.4"))
    reader = await archive.open(instance)
    assert await reader.read(instance.dataset_offset, 1 << 20) == ct_dataset


async def test_what_was_stored_is_recorded(provider, audit, ct_dataset):
    await answer(provider, MemoryOperation(store(), dataset=MemoryDataset(ct_dataset)))
    [event] = audit.events
    assert (event.kind, event.outcome) == (AuditKind.C_STORE, Outcome.SUCCESS)
    assert event.details["sop_class_uid"] == CT
    assert event.details["sop_instance_uid"] == "1.2.3.4"
    assert event.details["study_instance_uid"] == "1.2.3"
    assert event.details["status"] == "0000"
    assert event.details["size"] > len(ct_dataset)


@pytest.mark.parametrize(
    ("change", "status", "element"),
    [
        ({"affected_sop_class_uid": MR}, 0x0122, 0x00000002),
        ({"affected_sop_instance_uid": "../../etc"}, 0x0117, 0x00001000),
        ({"has_dataset": False}, 0xC000, 0x00000800),
    ],
)
async def test_commands_that_cannot_be_right(provider, audit, ct_dataset, change, status, element):
    """PS3.7 §9.1.1.1.9."""
    operation = MemoryOperation(
        store(**change), context=accepted_context(CT), dataset=MemoryDataset(ct_dataset)
    )
    response = await answer(provider, operation)
    assert response.status == status
    assert response.offending_element == (element,)
    assert len(response.comment) <= 64
    [event] = audit.events
    assert event.outcome is Outcome.FAILURE
    assert event.details["status"] == f"{status:04X}"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInstanceError("malformed"), 0xC000),
        (IdentityMismatchError("other UID"), 0xA900),
        (DuplicateInstanceError("there already"), 0x0111),
        (OutOfResourcesError("disk full"), 0xA700),
        (IngestError("something else"), 0x0110),
    ],
)
async def test_what_the_archive_refuses_becomes_a_status(audit, ct_dataset, error, status):
    """PS3.4 Table B.2-1."""
    provider = Storage(FailingArchive(error), audit)
    response = await answer(provider, MemoryOperation(store(), dataset=MemoryDataset(ct_dataset)))
    assert response.status == status
    assert response.comment == str(error)
    assert audit.events[0].details["reason"] == str(error)


def test_every_refusal_of_the_archive_has_a_status():
    assert set(IngestError.__subclasses__()) <= set(ERRORS)


async def test_a_dataset_of_another_class_than_announced(provider, ct_attributes):
    """PS3.4 Table B.2-1: A900H."""
    dataset = encode_attributes({**ct_attributes, tag_of("SOPClassUID"): (MR,)}, EXPLICIT)
    response = await answer(provider, MemoryOperation(store(), dataset=MemoryDataset(dataset)))
    assert response.status == 0xA900


async def test_what_nobody_foresaw_is_recorded_too(audit, ct_dataset):
    provider = Storage(FailingArchive(ZeroDivisionError()), audit)
    with pytest.raises(ZeroDivisionError):
        await answer(provider, MemoryOperation(store(), dataset=MemoryDataset(ct_dataset)))
    assert audit.events[0].details["status"] == "0110"
    assert audit.events[0].details["reason"] == "ZeroDivisionError"


async def test_what_cannot_be_audited_is_not_acknowledged(provider, audit, ct_dataset):
    audit.failing = True
    response = await answer(provider, MemoryOperation(store(), dataset=MemoryDataset(ct_dataset)))
    assert response.status == 0x0110
