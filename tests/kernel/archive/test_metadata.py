"""Metadata of instances: kept by the index, made of objects, always valid JSON (PS3.18 F)."""

import json
from itertools import count
from struct import pack

import anyio
import pytest
from hypothesis import given, strategies as st
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from pacs_core.archive import DuplicatePolicy, NoArchive, Preparation
from pacs_core.archive.guarded import GuardedArchive
from pacs_core.archive.metadata import MAX_KEPT
from pacs_core.association import AccessControl
from pacs_core.contracts import (
    METADATA_LIMITS,
    EntityPath,
    InstanceHeader,
    Level,
    Origin,
    Query,
    SingleValue,
    bulk_data_path,
    bulk_data_reference,
    encode_metadata,
    resolve_bulk_data,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementSet,
    HeaderScanner,
    MalformedDataset,
    encode_attributes,
    encode_elements,
    read_elements,
    tag_of,
)
from pacs_core.dataset.model_values import REFERABLE_VRS
from pacs_core.testing.memory_archive import MemoryArchive
from tests.kernel.dataset.element_sets import element_sets

pytestmark = pytest.mark.anyio

ALL = Query(Level.IMAGE)
INSTANCE = "00080018"
UTF_8 = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192"


def parse(metadata: bytes):
    """Parse strictly: NaN and Infinity are no JSON (RFC 8259)."""
    return json.loads(metadata, parse_constant=pytest.fail)


def metadata_of(dataset: bytes):
    elements = read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN, METADATA_LIMITS)
    return parse(encode_metadata(InstanceHeader(EXPLICIT_VR_LITTLE_ENDIAN, elements)))


async def collect(archive, query=ALL):
    found = archive.metadata(query)
    return {i.identity.sop_instance_uid: parse(metadata) async for i, metadata in found}


@pytest.fixture
def opened(bench, monkeypatch):
    """The keys of the objects that are opened."""
    keys = []
    original = type(bench.store).open

    async def note(store, key):
        keys.append(key)
        return await original(store, key)

    monkeypatch.setattr(type(bench.store), "open", note)
    return keys


async def prepare(archive):
    """Let the archive prepare metadata until none are lacking."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(archive.preparation.run, lambda: None)
            while (await archive.preparation.source.prepared.lacking(1)).instances:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("pacs_core.archive.metadata.LOOK_AGAIN", 0.01)
    monkeypatch.setattr("pacs_core.archive.metadata._BUSY_PAUSE", 0.02)


async def store_some(bench, archive, dataset, count=5):
    for number in range(count):
        uid = f"1.2.3.4.{number}"
        await bench.send(archive, dataset(uid, InstanceNumber=str(number)), uid)


# What is kept


async def test_what_was_prepared_needs_no_objects(bench, dataset, opened):
    archive = bench.archive()
    await store_some(bench, archive, dataset, 100)
    assert opened == []  # nothing is made on the way of a C-STORE
    await prepare(archive)
    assert len(opened) == 100
    found = await collect(archive)
    assert len(opened) == 100
    assert [m["00200013"]["Value"] for m in found.values()] == [[n] for n in range(100)]
    assert found["1.2.3.4.7"]["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}


async def test_what_was_not_prepared_is_made_once(bench, dataset, opened):
    archive = bench.archive()
    await store_some(bench, archive, dataset, 70)
    first = await collect(archive)
    assert len(opened) == 70
    assert await collect(archive) == first
    assert len(opened) == 70
    assert await collect(bench.archive()) == first


async def test_a_caller_that_stops_early_makes_no_more(bench, dataset, opened):
    archive = bench.archive()
    await store_some(bench, archive, dataset)
    found = archive.metadata(ALL)
    await anext(found)
    await found.aclose()
    assert len(opened) == 1


async def test_kept_and_made_are_the_same(bench, dataset):
    archive = bench.archive()
    await store_some(bench, archive, dataset)
    computed = [each async for each in bench.archive(prepare_metadata=False).metadata(ALL)]
    await prepare(archive)
    assert [each async for each in archive.metadata(ALL)] == computed


async def test_metadata_that_are_not_to_be_kept_are_made_each_time(bench, dataset, opened):
    archive = bench.archive(prepare_metadata=False)
    await store_some(bench, archive, dataset)
    assert archive.preparation is None
    assert await collect(archive) == await collect(archive)
    assert len(opened) == 10


async def test_a_replaced_instance_has_the_metadata_of_the_new(bench, dataset):
    archive = bench.archive(policy=DuplicatePolicy.REPLACE)
    await bench.send(archive, dataset(PatientName="Old"))
    await prepare(archive)
    await bench.send(archive, dataset(PatientName="New"))
    (found,) = (await collect(archive)).values()
    assert found["00100010"]["Value"] == [{"Alphabetic": "New"}]


async def test_a_corrected_instance_has_the_metadata_that_are_handed_out(bench, dataset, origin):
    archive = bench.archive()
    await bench.send(archive, dataset(PatientName="Old"))
    await prepare(archive)
    await archive.update(EntityPath("P1"), {tag_of("PatientName"): ("New",)}, origin)
    for _ in range(2):
        (found,) = (await collect(archive)).values()
        assert found["00100010"]["Value"] == [{"Alphabetic": "New"}]
        assert found["04000561"]["vr"] == "SQ"  # Original Attributes Sequence
        await prepare(archive)


async def test_a_correction_that_comes_between_reading_and_keeping_is_not_lost(
    bench, dataset, origin
):
    archive = bench.archive()
    await bench.send(archive, dataset(PatientName="Old"))
    source = archive._metadata
    original = source._read_header

    async def read(instance, limits):
        header = await original(instance, limits)
        source._read_header = original
        await archive.update(EntityPath("P1"), {tag_of("PatientName"): ("New",)}, origin)
        return header

    source._read_header = read
    await collect(archive)
    (found,) = (await collect(archive)).values()
    assert found["00100010"]["Value"] == [{"Alphabetic": "New"}]


async def test_a_deleted_instance_has_no_metadata(bench, dataset, origin):
    archive = bench.archive()
    await bench.send(archive, dataset(PatientName="Old"))
    await prepare(archive)
    (instance,) = (await bench.rows()).values()
    await archive.delete(instance.identity.path, origin)
    assert await collect(archive) == {}
    await bench.send(archive, dataset(PatientName="New"))
    (found,) = (await collect(archive)).values()
    assert found["00100010"]["Value"] == [{"Alphabetic": "New"}]


async def test_what_is_forgotten_is_made_again(bench, dataset, opened):
    archive = bench.archive()
    await store_some(bench, archive, dataset)
    await prepare(archive)
    opened.clear()
    prepared = archive.preparation.source.prepared
    await prepared.forget([next(iter((await bench.rows()).values())).identity.path])
    await prepare(archive)
    assert len(opened) == 1


async def test_long_metadata_are_not_kept(bench, dataset, opened):
    archive = bench.archive()
    items = tuple({tag_of("TextValue"): ("x" * 60_000,)} for _ in range(20))
    attributes = {tag_of("ContentSequence"): items}
    data = dataset(pixels=b"")[: -len(b"\xe0\x7f\x10\x00OB\0\0\0\0\0\0")]
    data += encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)
    await bench.send(archive, data)
    await prepare(archive)
    opened.clear()
    (found,) = [metadata async for _, metadata in archive.metadata(ALL)]
    assert len(found) > MAX_KEPT
    assert len(parse(found)["0040A730"]["Value"]) == 20
    assert len(opened) == 1


async def test_an_instance_that_cannot_be_read_is_given_by_its_uids(bench, dataset, opened, caplog):
    """Nobody is told that a series is complete without it, and the others are not lost."""
    archive = bench.archive()
    await store_some(bench, archive, dataset, 3)
    key = next(k for k, i in (await bench.rows()).items() if i.identity.sop_instance_uid[-1] == "1")
    del bench.store._objects[key]
    await prepare(archive)
    assert "there are no metadata of instance 1.2.3.4.1" in caplog.text
    found = await collect(archive)
    assert list(found) == ["1.2.3.4.0", "1.2.3.4.1", "1.2.3.4.2"]
    assert found["1.2.3.4.1"] == {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        INSTANCE: {"vr": "UI", "Value": ["1.2.3.4.1"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.1"]},
    }


async def test_an_index_that_keeps_nothing_now_is_asked_again_later(
    bench, dataset, monkeypatch, caplog
):
    archive = bench.archive()
    await store_some(bench, archive, dataset)
    prepared = archive.preparation.source.prepared
    original, failures = type(prepared).keep, [OSError("no room"), OSError("no room")]

    async def keep(self, metadata, revision):
        if failures:
            raise failures.pop()
        return await original(self, metadata, revision)

    monkeypatch.setattr(type(prepared), "keep", keep)
    assert len(await collect(archive)) == 5
    assert "metadata of 5 instances are not kept: no room" in caplog.text
    await prepare(archive)
    assert "no metadata are prepared for 0.02 s: no room" in caplog.text


async def test_instances_that_arrive_do_not_wait_for_metadata(bench, dataset, monkeypatch):
    """While they arrive, metadata are prepared, but few at a time."""
    archive = bench.archive()
    sizes = []
    prepared = type(archive.preparation.source.prepared)
    original = prepared.keep

    async def keep(self, metadata, revision):
        sizes.append(len(metadata))
        return await original(self, metadata, revision)

    monkeypatch.setattr(prepared, "keep", keep)
    await store_some(bench, archive, dataset, 60)
    arriving = Preparation(archive.preparation.source, count().__next__)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(arriving.run, lambda: None)
        with anyio.fail_after(60):
            while len(sizes) < 3:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert sizes[:3] == [8, 8, 8]
    sizes.clear()
    await prepare(archive)
    assert sizes[0] == 32


# On whose behalf


async def test_metadata_are_those_that_may_be_read(bench, dataset):
    archive = bench.archive()
    await bench.send(archive, dataset("1.2.3.4.1", Modality="CT"), "1.2.3.4.1")
    await bench.send(archive, dataset("1.2.3.4.2", Modality="MR", series="1.9"), "1.2.3.4.2")
    await prepare(archive)

    class Access(AccessControl):
        is_open = False

        async def require(self, access):
            assert access.action == "retrieve"
            return (SingleValue(tag_of("Modality"), "MR"),)

    guarded = GuardedArchive(archive, Access(), Origin("test"), "retrieve", None)
    assert list(await collect(guarded)) == ["1.2.3.4.2"]


async def test_other_archives_make_metadata_of_headers(dataset):
    archive = MemoryArchive()
    archive.put(dataset(), EXPLICIT_VR_LITTLE_ENDIAN)
    (found,) = (await collect(archive)).values()
    assert found[INSTANCE]["Value"] == ["1.2.3.4"]
    assert found["7FE00010"] == {"vr": "OB", "BulkDataURI": "7FE00010"}
    with pytest.raises(LookupError):
        NoArchive().metadata(ALL)


# References to bulk data


async def test_every_reference_leads_to_bulk_data(bench, dataset):
    long = encode_elements(
        ElementSet({0x0009_1010: DataElement(0x0009_1010, "UN", b"\7" * 2000)}),
        EXPLICIT_VR_LITTLE_ENDIAN,
    )
    item = b"".join(map(bytes, long))
    sequence = b"\x40\x00\x55\x05SQ\0\0" + pack("<I", 8 + 8 + len(item))
    sequence += b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff\x00\xe0" + pack("<I", len(item)) + item
    floats = b"\x40\x00\x56\x05FD" + pack("<Hdd", 16, float("nan"), 1.0)
    data = dataset()
    pixels = data.index(b"\xe0\x7f\x10\x00")
    archive = bench.archive()
    await bench.send(archive, data[:pixels] + sequence + floats + data[pixels:])
    (found,) = [each async for each in archive.metadata(ALL)]
    instance, metadata = found
    assert resolve_bulk_data(metadata, "").decode() == metadata.decode()
    parsed = parse(resolve_bulk_data(metadata, 'https://host/"a"/'))
    references = {
        "7FE00010": parsed["7FE00010"],
        "00400555/1/00091010": parsed["00400555"]["Value"][1]["00091010"],
        "00400556": parsed["00400556"],
    }
    header = await archive.header(instance)
    for reference, attribute in references.items():
        assert attribute["BulkDataURI"] == 'https://host/"a"/' + reference
        path = bulk_data_path(reference)
        assert bulk_data_reference(path) == reference
        element = header.elements.find(path)
        assert element is not None
        if isinstance(element.value, BulkData):
            value = b"".join([p async for p in archive.bulk_data(instance, element.value)])
            assert len(value) == element.value.length
        else:
            assert element.value == floats[8:]  # no JSON number says NaN


@pytest.mark.parametrize(
    "reference",
    ["", "7FE0001", "7FE00010/", "7FE00010/0", "7FE0001G", "../7FE00010", "7FE00010/-1/00091010",
     "7FE00010/9999999999/00091010", "7FE00010/\u0663/00091010"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(reference):
    with pytest.raises(ValueError):
        bulk_data_path(reference)


def test_a_value_that_looks_like_a_reference_is_none():
    text = '"BulkDataURI":"x'
    tag = tag_of("PatientComments")
    dataset = encode_attributes({tag: (text,)}, EXPLICIT_VR_LITTLE_ENDIAN)
    elements = read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN)
    metadata = encode_metadata(InstanceHeader(EXPLICIT_VR_LITTLE_ENDIAN, elements))
    assert parse(resolve_bulk_data(metadata, "/base/"))["00104000"]["Value"] == [text]


# Always JSON


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@given(element_sets())
def test_metadata_are_those_of_pydicom(elements):
    """As far as pydicom makes JSON of them; it gives up on numbers that are none."""
    data = UTF_8 + b"".join(map(bytes, encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN)))
    ours = metadata_of(data)
    dataset = dcmread(DicomBytesIO(data), force=True)
    for name, attribute in ours.items():
        try:
            theirs = dataset[name].to_json_dict(None, 1 << 20)
        except (ValueError, TypeError, OverflowError):
            continue
        if attribute["vr"] in REFERABLE_VRS & {"DS", "IS", "FL", "FD", "UV", "SV"}:
            values = [None if v == "" else v for v in theirs.get("Value", ())]
            assert list(map(as_number, attribute.get("Value", ()))) == list(map(as_number, values))
        elif attribute["vr"] != "SQ":  # sequences hold what was compared above
            assert attribute == theirs


def as_number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


_VRS = [b"PN", b"LO", b"DS", b"IS", b"FL", b"FD", b"US", b"SL", b"AT", b"UT", b"UN", b"CS", b"DA",
        b"UI", b"SV", b"OW", b"AS", b"TM", b"UR", b"SQ"]  # fmt: skip
_WIDE = {b"UT", b"UN", b"SV", b"OW", b"UR", b"SQ"}


@st.composite
def odd_datasets(draw):
    """Datasets in explicit VR whose values are any bytes, in any character set."""
    sets = ["", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030", "X"]
    declared = draw(st.sampled_from(sets)).encode()
    declared += b" " * (len(declared) % 2)
    data = b"\x08\x00\x05\x00CS" + pack("<H", len(declared)) + declared
    for tag in sorted(draw(st.sets(st.integers(0x0010_0002, 0x0020_FFFF), max_size=5))):
        vr = draw(st.sampled_from(_VRS))
        value = draw(
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from([b"NaN ", b"1e999 ", b"Infinity", b"1.5\\", b"\x1b$B\x1b(B", b"+1",
                                 b"007 ", b"\0\0\xc0\x7f", b"\xff" * 8, b'"\\u', b"\xed\xa0\x80 "]),
            )
        )  # fmt: skip
        if vr != b"UN":
            value += b" " * (len(value) % 2)
        length = pack("<HI", 0, len(value)) if vr in _WIDE else pack("<H", len(value))
        data += pack("<HH", tag >> 16, tag & 0xFFFF) + vr + length + value
    return data


@given(odd_datasets())
def test_whatever_is_stored_gives_json(data):
    scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, frozenset({0x0010_0010}))
    try:
        scanner.feed(data)
        scanner.finish()
        elements = read_elements(data, EXPLICIT_VR_LITTLE_ENDIAN, METADATA_LIMITS)
    except MalformedDataset:
        return
    metadata = encode_metadata(InstanceHeader(EXPLICIT_VR_LITTLE_ENDIAN, elements))
    found = parse(metadata)
    assert set(found) == {f"{tag:08X}" for tag in elements.elements}
