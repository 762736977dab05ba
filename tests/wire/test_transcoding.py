"""What peers accept is what they get: C-MOVE and C-GET convert, and pixels stay what they were.

PS3.4 C.4.2, C.4.3: a sub-operation that cannot be sent is a failed one, and is in the list.
"""

import os
from contextlib import contextmanager
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.association import Proposal, connect
from pacs_core.config import ConfigError
from pacs_core.contracts import Level, Query
from pacs_core.dataset import file_meta, read_file_meta, tag_of, texts, transfer_syntax_uid
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

STUDY_MOVE, STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, JLS, J2K = map(
    transfer_syntax_uid,
    ("implicit", "explicit", "big endian", "deflated", "RLE", "JPEG-LS", "JPEG 2000 Lossless"),
)
BASELINE = transfer_syntax_uid("JPEG Baseline")
MPEG = "1.2.840.10008.1.2.4.102"
FILES = (
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_small_odd.dcm",
)
FAILED = tag_of("FailedSOPInstanceUIDList")


def encoded(file):
    """Return the dataset of a file as pydicom writes it."""
    buffer = BytesIO()
    file.save_as(buffer, enforce_file_format=False)
    data = buffer.getvalue()
    return data[read_file_meta(data).dataset_offset :]


class Instance:
    """A file of pydicom's, in a study with the others."""

    def __init__(self, name, number, spoil=None, pixels=True):
        original = dcmread(get_testdata_file(name))
        self.pixels = original.pixel_array if pixels else None
        original.StudyInstanceUID = "1.2.826.1"
        original.SeriesInstanceUID = f"1.2.826.1.{number}"
        original.SOPInstanceUID = self.uid = f"1.2.826.1.{number}.1"
        original.file_meta.MediaStorageSOPInstanceUID = self.uid
        self.sop_class = original.SOPClassUID
        if spoil:
            original.PixelData = spoil(original.PixelData)
        self.syntax, self.dataset = original.file_meta.TransferSyntaxUID, encoded(original)
        self.file = original


INSTANCES = [Instance(name, number) for number, name in enumerate(FILES, 1)]
UIDS = {instance.uid: instance for instance in INSTANCES}


async def fill(node, instances):
    proposals = [Proposal(i.sop_class, (i.syntax,)) for i in instances]
    async with connect(node.peer, proposals) as association:
        for instance in instances:
            context = association.context(instance.sop_class, instance.syntax)
            response = await association.c_store(
                instance.sop_class, instance.uid, instance.dataset, context_id=context.id
            )
            assert response.status == 0


@contextmanager
def world(folder, accepted=None, peer=None, storage=None, **tables):
    """Run a node that holds the instances, and one to which it can send them."""
    storage = storage or {}
    taken = storage | ({"transfer_syntaxes": accepted} if accepted else {})
    target = {"port": 0, "data_directory": str(folder / "target"), "ae_title": "TARGET"}
    with node_thread(
        folder / "target", {"node": target, "plugin": {"sop-storage": taken}}
    ) as destination:
        address = {"ae_title": "TARGET", "host": "127.0.0.1", "port": destination.port}
        peers = {"target": {**address, **(peer or {})}}
        given = {"peers": peers, "plugin": {"sop-storage": storage}, **tables}
        with node_thread(folder / "source", given) as source:
            yield source, destination


async def move(source):
    identifier = {
        tag_of("QueryRetrieveLevel"): ("STUDY",),
        tag_of("StudyInstanceUID"): ("1.2.826.1",),
    }
    async with connect(source.peer, [Proposal(STUDY_MOVE, (EXPLICIT,))]) as association:
        responses = [r async for r in association.c_move(STUDY_MOVE, identifier, "TARGET")]
    return responses[-1]


def failed_uids(identifier):
    return set(texts(identifier or {}, FAILED))


def stored(node):
    """Return every object of a node, as pydicom reads it."""

    async def read():
        archive = node.node.opened.archive
        found = {}
        async for instance in archive.instances(Query(Level.IMAGE)):
            async with await archive.open(instance) as reader:
                data = await reader.read(0, reader.size)
            found[instance.identity.sop_instance_uid] = dcmread(BytesIO(data))
        return found

    return node.call(read)


def stored_bytes(node):
    """Return every dataset of a node as it is stored."""

    async def read():
        archive = node.node.opened.archive
        found = {}
        async for instance in archive.instances(Query(Level.IMAGE)):
            async with await archive.open(instance) as reader:
                data = await reader.read(instance.dataset_offset, reader.size)
            found[instance.identity.sop_instance_uid] = data
        return found

    return node.call(read)


def read_dataset(data, syntax):
    """Return a dataset as pydicom reads it."""
    return dcmread(BytesIO(file_meta("1.2.3", "1.2.3.4", syntax) + data))


def assert_same(received, instance):
    assert received.pixel_array.shape == instance.pixels.shape
    assert (received.pixel_array == instance.pixels).all()
    for element in instance.file:
        if element.tag in FOLLOWS or element.tag.group == 0x7FE0 or not element.tag.element:
            continue
        assert received[element.tag].value == element.value, element


FOLLOWS = {tag_of("PlanarConfiguration"), tag_of("PhotometricInterpretation")}


@pytest.mark.parametrize(
    "syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, JLS, J2K], ids=lambda uid: uid[17:]
)
async def test_c_move_to_a_peer_that_accepts_one_transfer_syntax(tmp_path, syntax):
    encapsulated = syntax in {RLE, JLS, J2K, DEFLATED, BIG}
    with world(tmp_path, [syntax], peer={"preferred": [syntax]} if encapsulated else {}) as (
        source,
        target,
    ):
        await fill(source, INSTANCES)
        final, identifier = await move(source)
        assert (final.status, failed_uids(identifier)) == (0x0000, set()), final.error_comment
        received = stored(target)
    assert received.keys() == UIDS.keys()
    for uid, dataset in received.items():
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert_same(dataset, UIDS[uid])


async def test_what_is_accepted_as_stored_arrives_byte_for_byte(tmp_path):
    with world(tmp_path) as (source, target):
        await fill(source, INSTANCES)
        final, _ = await move(source)
        assert final.number_of_completed_suboperations == len(INSTANCES)
        assert stored_bytes(target) == {instance.uid: instance.dataset for instance in INSTANCES}


async def test_a_preference_is_followed_where_it_can_be(tmp_path):
    peer = {"preferred": ["MPEG2 Main Profile / Main Level", "JPEG-LS"]}
    with world(tmp_path, peer=peer) as (source, target):
        await fill(source, INSTANCES)
        assert (await move(source))[0].status == 0x0000
        received = stored(target)
    for uid, dataset in received.items():
        assert dataset.file_meta.TransferSyntaxUID == JLS
        assert_same(dataset, UIDS[uid])


LOSSY = {"preferred": [BASELINE], "lossy": True, "quality": 90, "new_uid": True}


@pytest.mark.parametrize("accepted", [None, [BASELINE]], ids=["as stored", "baseline only"])
async def test_a_preference_is_followed_for_what_fits_into_it(tmp_path, caplog, accepted):
    """PS3.5 Table 8.2.1-1: 8 unsigned bits. What has no pixels has nothing to compress."""
    deep, colour = INSTANCES[0], INSTANCES[6]
    report = Instance("reportsi.dcm", 8, pixels=False)
    with world(tmp_path, accepted, peer=LOSSY) as (source, target):
        await fill(source, [deep, colour, report])
        final, identifier = await move(source)
        received, data = stored(target), stored_bytes(target)
    compressed = [uid for uid, each in received.items() if "PixelData" in each and uid != deep.uid]
    assert len(compressed) == 1
    assert received[compressed[0]].file_meta.TransferSyntaxUID == BASELINE
    assert compressed[0].startswith("2.25.")
    assert received[report.uid].ContentSequence == report.file.ContentSequence
    if accepted:
        assert failed_uids(identifier) == {deep.uid}
        assert "JPEG Baseline holds 8 bits, not 16" in caplog.text
    else:
        assert (final.status, failed_uids(identifier)) == (0x0000, set())
        assert (data[deep.uid], data[report.uid]) == (deep.dataset, report.dataset)


async def test_what_cannot_be_sent_is_in_the_list_of_what_failed(tmp_path):
    lossy = Instance("SC_rgb_jpeg_dcmtk.dcm", 9)
    with world(tmp_path, [MPEG, BASELINE]) as (source, target):
        await fill(source, [*INSTANCES, lossy])
        final, identifier = await move(source)
        assert stored(target).keys() == {lossy.uid}
    assert final.status == 0xB000
    assert final.number_of_failed_suboperations == len(INSTANCES)
    assert failed_uids(identifier) == UIDS.keys()
    assert final.error_comment


async def test_a_broken_image_fails_alone(tmp_path):
    broken = Instance("MR_small_RLE.dcm", 9, lambda data: data[:200] + bytes(len(data) - 200))
    with world(tmp_path, [EXPLICIT]) as (source, target):
        await fill(source, [*INSTANCES, broken])
        final, identifier = await move(source)
        assert stored(target).keys() == UIDS.keys()
    assert failed_uids(identifier) == {broken.uid}
    assert "frame 1" in final.error_comment


async def test_without_codecs_what_needs_none_is_sent(tmp_path):
    disabled = {"plugins": {"disabled": ["codec-basic", "codec-imagecodecs"]}}
    with world(tmp_path, [IMPLICIT], **disabled) as (source, target):
        await fill(source, INSTANCES)
        _, identifier = await move(source)
        received = stored(target)
    native = {each.uid for each in INSTANCES if each.syntax in {EXPLICIT, BIG}}
    assert received.keys() == native
    assert failed_uids(identifier) == UIDS.keys() - native


async def test_many_forms_need_many_associations(tmp_path):
    """PS3.8 §7.1.1.13: 128 presentation contexts on one association."""
    plain = Instance("CT_small.dcm", 1)
    classes = [f"1.2.826.99.{number}" for number in range(70)]
    instances = []
    for number, uid in enumerate(classes, 1):
        each = Instance.__new__(Instance)
        vars(each).update(vars(plain), sop_class=uid, uid=f"1.2.826.1.7.{number}")
        plain.file.SOPClassUID, plain.file.SOPInstanceUID = uid, each.uid
        each.dataset = encoded(plain.file)
        instances.append(each)
    with world(tmp_path, [IMPLICIT], storage={"private": classes}) as (source, target):
        await fill(source, instances)
        final, _ = await move(source)
        assert stored(target).keys() == {each.uid for each in instances}
    assert final.number_of_completed_suboperations == len(classes)


async def get(source, proposals):
    """Retrieve with C-GET; return what came, by UID: transfer syntax and dataset."""
    received = {}

    async def receive(operation):
        data = b"".join([bytes(chunk) async for chunk in operation.dataset])
        uid = operation.command.affected_sop_instance_uid
        received[uid] = operation.context.transfer_syntax, data
        return 0

    identifier = {
        tag_of("QueryRetrieveLevel"): ("STUDY",),
        tag_of("StudyInstanceUID"): ("1.2.826.1",),
    }
    proposals = [Proposal(STUDY_GET, (EXPLICIT,)), *proposals]
    async with connect(source.peer, proposals) as association:
        responses = [r async for r in association.c_get(STUDY_GET, identifier, receive)]
    return received, responses[-1]


@pytest.mark.parametrize("syntax", [IMPLICIT, JLS], ids=["implicit", "JPEG-LS"])
async def test_c_get_in_the_contexts_of_the_requestor(tmp_path, syntax):
    classes = {each.sop_class for each in INSTANCES}
    proposals = [Proposal(uid, (syntax,), scu=False, scp=True) for uid in classes]
    with node_thread(tmp_path) as source:
        await fill(source, INSTANCES)
        received, (final, _) = await get(source, proposals)
    assert final.status == 0x0000
    assert received.keys() == UIDS.keys()
    for uid, (used, data) in received.items():
        assert used == syntax
        assert_same(read_dataset(data, syntax), UIDS[uid])


async def test_c_get_without_a_context_for_some(tmp_path):
    proposals = [Proposal(INSTANCES[0].sop_class, (IMPLICIT,), scu=False, scp=True)]
    with node_thread(tmp_path) as source:
        await fill(source, INSTANCES)
        received, (final, identifier) = await get(source, proposals)
    assert final.status == 0xB000
    assert received.keys() == {INSTANCES[0].uid}
    assert failed_uids(identifier) == UIDS.keys() - received.keys()


def test_codecs_that_are_not_there_are_an_error_before_anything_starts(tmp_path):
    tables = {"transcoding": {"codecs": {"RLE": "no-such-codec"}}}
    wrong = pytest.raises(ConfigError, match="codecs: 'no-such-codec' for RLE")
    with wrong, node_thread(tmp_path, tables):
        pass


def test_the_log_names_the_codecs(tmp_path, caplog):
    with caplog.at_level("INFO", "pacs_core.app.transcoding"), node_thread(tmp_path):
        pass
    (line,) = [m for m in map(str, caplog.messages) if m.startswith("codecs: ")]
    assert "; RLE Lossless basic-rle / imagecodecs-rle" in line
    assert "; JPEG XL Recompression imagecodecs-jpegxl-jpeg;" in line


async def test_no_codec_process_is_left_behind(tmp_path):
    with world(tmp_path, [IMPLICIT]) as (source, _):
        await fill(source, INSTANCES)
        await move(source)
        pids = source.node.opened.node.transcoder.workers.pids
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
