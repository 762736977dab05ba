"""Datasets of pydicom at both ends of the wire: provider and requestor (PS3.7 §9, §10)."""

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from pacs_core.association import Proposal, connect
from pacs_core.contracts import (
    Level,
    Query,
    Response,
    ServiceProvider,
    ServiceProviderDescriptor,
    SingleValue,
    SopClassSupport,
)
from pacs_core.dataset import (
    DatasetTooLarge,
    MalformedDataset,
    UnencodableValue,
    encode_dataset,
    tag_of,
)
from pacs_core.dimse import Command, CommandField, Status
from pacs_core.plugins import hookimpl
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.operations import MemoryDataset, MemoryOperation, answer, memory_node
from pacs_core.testing.service_provider_contract import HOSTILE_DATASETS

pytestmark = pytest.mark.anyio

DIARY = "2.25.301544180370123465823954387450183772612"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
LIMIT = 2000


class Diary(ServiceProvider):
    """Says what it was told."""

    async def handle(self, operation):
        """Answer with what came, and a word of its own."""
        field = operation.command.field
        reply = Dataset()
        if field is not CommandField.N_GET_RQ:
            reply = await operation.read_dataset(LIMIT)
            assert isinstance(reply, Dataset)
        reply.TextValue = f"{field.name}: Grüße, {reply.get('PatientName', 'nobody')}"
        if field is CommandField.C_FIND_RQ:
            await operation.send_pending(reply)
            return Response(Status.SUCCESS)
        if field is CommandField.N_ACTION_RQ and operation.command.action_type_id == 2:
            reply.Rows = "many"
        if field is CommandField.N_DELETE_RQ:
            return Response(Status.SUCCESS, Dataset())
        return Response(Status.SUCCESS, reply)


class diary:  # noqa: N801 (a plugin)
    @staticmethod
    @hookimpl
    def pacs_service_providers(setup):
        support = {DIARY: SopClassSupport(SYNTAXES)}
        return [ServiceProviderDescriptor("diary", support, lambda node: Diary())]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    import sys
    from types import ModuleType

    from importlib_metadata import EntryPoint

    from pacs_core.testing.node import node_thread

    module = sys.modules["pydicom_diary"] = ModuleType("pydicom_diary")
    module.pacs_service_providers = diary.pacs_service_providers
    point = EntryPoint("diary", "pydicom_diary", "pacs_core.plugins")
    plugins = [point, "sop-storage", "store-filesystem", "index-sqlite"]
    with node_thread(tmp_path_factory.mktemp("diary"), plugins=plugins) as node:
        yield node
    del sys.modules["pydicom_diary"]


def named(name="Yamada^Tarou=山田^太郎") -> Dataset:
    dataset = Dataset()
    dataset.PatientName = name
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
async def test_who_asks_with_a_dataset_is_answered_with_one(node, syntax):
    async with connect(node.peer, [Proposal(DIARY, (syntax,))]) as association:
        response, reply = await association.n_action(DIARY, "1.2.3", 1, named())
        assert (response.status, reply.PatientName) == (0, "Yamada^Tarou=山田^太郎")
        assert reply.TextValue == "N_ACTION_RQ: Grüße, Yamada^Tarou=山田^太郎"
        _, reply = await association.n_create(DIARY, "1.2.3", named())
        assert reply.TextValue.startswith("N_CREATE_RQ")
        _, reply = await association.n_set(DIARY, "1.2.3", named())
        assert reply.TextValue.startswith("N_SET_RQ")
        _, reply = await association.n_get(DIARY, "1.2.3", as_dataset=True)
        assert reply.TextValue == "N_GET_RQ: Grüße, nobody"
        _, reply = await association.n_action(DIARY, "1.2.3", 1, Dataset())
        assert reply.TextValue == "N_ACTION_RQ: Grüße, nobody"
        found = [reply async for _, reply in association.c_find(DIARY, named())]
        assert [type(reply) for reply in found] == [Dataset, type(None)]
        assert found[0].TextValue.startswith("C_FIND_RQ")


async def test_who_asks_with_attributes_is_answered_with_these(node):
    attributes = {tag_of("PatientName"): ("Doe^Jane",)}
    async with connect(node.peer, [Proposal(DIARY)]) as association:
        _, reply = await association.n_action(DIARY, "1.2.3", 1, attributes)
        assert reply[tag_of("TextValue")] == ("N_ACTION_RQ: Grüße, Doe^Jane",)
        _, reply = await association.n_get(DIARY, "1.2.3")
        assert reply[tag_of("TextValue")] == ("N_GET_RQ: Grüße, nobody",)
        found = [reply async for _, reply in association.c_find(DIARY, attributes)]
        assert found[0][tag_of("PatientName")] == ("Doe^Jane",)
        response, reply = await association.n_delete(DIARY, "1.2.3")
        assert (response.status, reply) == (0, None)


@pytest.mark.filterwarnings("ignore:A value of type:UserWarning")
async def test_what_a_provider_cannot_encode_is_0110h(node):
    async with connect(node.peer, [Proposal(DIARY)]) as association:
        response, reply = await association.n_action(DIARY, "1.2.3", 2, named())
        assert (response.status, reply) == (0x0110, None)
        response, _ = await association.n_action(DIARY, "1.2.3", 1, named())
        assert response.status == 0


@pytest.mark.filterwarnings("ignore:A value of type:UserWarning")
async def test_what_a_requestor_cannot_encode_is_not_sent(node):
    wrong = named()
    wrong.Rows = "many"
    async with connect(node.peer, [Proposal(DIARY)]) as association:
        with pytest.raises(UnencodableValue):
            await association.n_action(DIARY, "1.2.3", 1, wrong)
        response, _ = await association.n_action(DIARY, "1.2.3", 1, named())
        assert response.status == 0


# --- read_dataset: each request with the status that the standard has


MALFORMED = {
    CommandField.C_STORE_RQ: 0xC000,
    CommandField.C_FIND_RQ: 0xC000,
    CommandField.C_GET_RQ: 0xC000,
    CommandField.C_MOVE_RQ: 0xC000,
    CommandField.N_EVENT_REPORT_RQ: 0x0115,
    CommandField.N_SET_RQ: 0x0110,
    CommandField.N_ACTION_RQ: 0x0115,
    CommandField.N_CREATE_RQ: 0x0110,
}


@pytest.mark.parametrize("field", MALFORMED)
@pytest.mark.parametrize("syntax", SYNTAXES)
async def test_hostile_datasets_have_a_status(field, syntax):
    def ask(data):
        command = Command(field=field, message_id=1, affected_sop_class_uid=DIARY)
        operation = MemoryOperation(command, dataset=MemoryDataset(data))
        operation.context = operation.context.__class__(1, DIARY, syntax, True, False)
        return answer(Diary(), operation)

    truncated = encode_dataset(named(), syntax)[:-6]
    assert (await ask(truncated)).status == MALFORMED[field]
    too_large = 0xA700 if field < 0x0100 else 0x0213
    assert (await ask(bytes(LIMIT + 2))).status == too_large
    for hostile in HOSTILE_DATASETS.values():
        assert (await ask(hostile)).status in (0, too_large, MALFORMED[field])


async def test_what_inflates_beyond_the_limit_is_too_large():
    dataset = named()
    dataset.ImageComments = "x" * 9000
    data = encode_dataset(dataset, DEFLATED)
    assert len(data) < LIMIT
    command = Command(field=CommandField.C_STORE_RQ, message_id=1, affected_sop_class_uid=DIARY)
    operation = MemoryOperation(command, dataset=MemoryDataset(data))
    operation.context = operation.context.__class__(1, DIARY, DEFLATED, True, False)
    response = await answer(Diary(), operation)
    assert response.status == 0xA700


# --- instances


def ct(**values) -> Dataset:
    from pacs_core.dataset import decode_dataset

    dataset = decode_dataset(SampleStudy().make("CT", **values).encode(), EXPLICIT)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


async def find(archive, uid):
    query = Query(Level.IMAGE, (SingleValue(tag_of("SOPInstanceUID"), uid),))
    (instance,) = [each async for each in archive.instances(query)]
    return instance


@pytest.mark.parametrize("syntax", [*SYNTAXES, "1.2.840.10008.1.2.4.50"])
async def test_what_is_stored_is_read(node, syntax):
    dataset = ct(PatientName="Doe^Jane")
    pixels = dataset.PixelData
    if syntax.endswith(".50"):
        dataset.PixelData = pixels = encapsulate([b"\xff\xd8\xff\xd9"])
        dataset.file_meta.TransferSyntaxUID = syntax
    async with connect(node.peer, [Proposal(dataset.SOPClassUID, (syntax,))]) as association:
        response = await association.c_store(dataset.SOPClassUID, dataset.SOPInstanceUID, dataset)
        assert response.status in (0, 0xB000)
    archive = node.node.opened.node.archive
    instance = node.call(find, archive, dataset.SOPInstanceUID)
    assert instance.transfer_syntax_uid == syntax

    def read(**options):
        async def run():
            return await archive.read_dataset(instance, **options)

        return node.call(run)

    header = read()
    assert header.PatientName == "Doe^Jane"
    assert header.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert "PixelData" not in header
    whole = read(stop_before_pixels=False)
    assert whole.PixelData == pixels
    plain = EXPLICIT if syntax in (BIG_ENDIAN, DEFLATED) else syntax
    assert whole.file_meta.TransferSyntaxUID == plain
    if syntax not in (DEFLATED, BIG_ENDIAN):
        assert encode_dataset(whole, syntax) == encode_dataset(dataset, syntax)
    with pytest.raises(DatasetTooLarge, match="100 bytes"):
        read(limit=100)


async def test_a_dataset_chooses_a_context_that_fits(node):
    dataset = ct()
    proposals = [Proposal(dataset.SOPClassUID, (s,)) for s in ("1.2.840.10008.1.2.4.50", IMPLICIT)]
    async with connect(node.peer, proposals) as association:
        response = await association.c_store(dataset.SOPClassUID, dataset.SOPInstanceUID, dataset)
        assert response.status == 0
    instance = node.call(find, node.node.opened.node.archive, dataset.SOPInstanceUID)
    assert instance.transfer_syntax_uid == IMPLICIT


async def test_a_damaged_dataset_in_an_archive_is_malformed():
    """As an archive in memory has it; a node's takes what it can read to the end of its header."""
    whole = SampleStudy().make("CT").encode()
    node = memory_node(datasets=[whole])
    (instance,) = [each async for each in node.archive.instances(Query(Level.IMAGE))]
    assert (await node.archive.read_dataset(instance)).Modality == "CT"
    held = next(iter(node.archive._held.values()))
    object.__setattr__(held, "data", held.data[: instance.dataset_offset + 100])
    with pytest.raises(MalformedDataset):
        await node.archive.read_dataset(instance)
