"""One instance on its way into the archive."""

import warnings
from pathlib import Path

import pytest
from pydicom.data import get_testdata_files
from pydicom.data.data_manager import DATA_ROOT

from pacs_core.archive import Durability
from pacs_core.contracts import (
    IdentityMismatchError,
    IngestOutcome,
    InstanceNotFoundError,
    InstancePath,
    InvalidInstanceError,
    OutOfResourcesError,
    StorageFullError,
)
from pacs_core.dataset import (
    MalformedDataset,
    NotPart10,
    read_file_meta,
    scan_file,
    tag_of,
    texts,
)

pytestmark = pytest.mark.anyio

IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def _instances():
    """Return the files of pydicom that are whole composite instances."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = [Path(name) for name in get_testdata_files() if name.startswith(str(DATA_ROOT))]
    for path in sorted(paths):
        try:
            found = scan_file(path, [tag_of(keyword) for keyword in IDENTITY])
        except (NotPart10, MalformedDataset, OSError):
            continue
        uids = {keyword: texts(found.attributes, tag_of(keyword)) for keyword in IDENTITY}
        if found.meta.dataset_offset and all(len(values) == 1 for values in uids.values()):
            yield pytest.param(path, uids, found.meta, id=path.name)


INSTANCES = list(_instances())
TRUNCATED = {"MR_truncated.dcm", "rtplan_truncated.dcm"}


def test_there_are_files_to_test_with():
    assert len(INSTANCES) > 50


@pytest.mark.parametrize(("path", "uids", "meta"), INSTANCES)
async def test_stores_every_file_of_pydicom_byte_for_byte(bench, chunks, origin, path, uids, meta):
    data = path.read_bytes()[meta.dataset_offset :]
    ingest = bench.archive().ingest(
        chunks(data, 16384),
        transfer_syntax_uid=meta.transfer_syntax_uid,
        sop_class_uid=uids["SOPClassUID"][0],
        sop_instance_uid=uids["SOPInstanceUID"][0],
        origin=origin,
    )
    if path.name in TRUNCATED:
        with pytest.raises(InvalidInstanceError, match="truncated"):
            await ingest
        assert not await bench.objects()
        return
    result = await ingest
    assert result.outcome is IngestOutcome.STORED
    assert await bench.served(uids["SOPInstanceUID"][0]) == data


async def test_writes_a_part_10_object_and_indexes_it(bench, dataset):
    data = dataset()
    result = await bench.send(bench.archive(), data)
    (stored,) = (await bench.objects()).values()
    meta = read_file_meta(stored)
    assert stored[:132] == bytes(128) + b"DICM"
    assert meta.sop_instance_uid == "1.2.3.4"
    assert (meta.source_ae_title, meta.sending_ae_title) == ("PACS", "MODALITY")
    assert meta.receiving_ae_title == "PACS"
    assert await bench.index.locate(InstancePath("1.2.3", "1.2.3.4")) == result.instance
    assert result.instance.dataset_offset == meta.dataset_offset
    assert result.instance.size == len(stored)


async def test_ae_titles_beyond_ascii_do_not_get_into_the_file(bench, dataset, chunks, origin):
    from attrs import evolve

    await bench.archive().ingest(
        chunks(dataset()),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3.4",
        origin=evolve(origin, calling_ae_title="RÖNTGEN"),
    )
    (stored,) = (await bench.objects()).values()
    assert read_file_meta(stored).sending_ae_title == ""


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_any_chunks_will_do(bench, dataset, size):
    data = dataset(pixels=bytes(5000))
    await bench.send(bench.archive(), data, size=size)
    assert await bench.served() == data


async def test_every_truncation_is_refused_unless_it_is_a_dataset_of_its_own(make_bench, dataset):
    data = dataset(pixels=bytes(40))
    before_pixels = len(data) - 40 - 12
    whole = {before_pixels, before_pixels - 10}
    for length in range(len(data)):
        bench = make_bench()
        if length in whole:
            await bench.send(bench.archive(), data[:length])
            continue
        with pytest.raises(InvalidInstanceError):
            await bench.send(bench.archive(), data[:length])
        assert not await bench.objects()
        assert not await bench.rows()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"StudyInstanceUID": ""}, r"no StudyInstanceUID \(0020,000D\)"),
        ({"SeriesInstanceUID": ""}, r"no SeriesInstanceUID \(0020,000E\)"),
        ({"SOPClassUID": ""}, r"no SOPClassUID \(0008,0016\)"),
        ({"SOPInstanceUID": ""}, r"no SOPInstanceUID \(0008,0018\)"),
        ({"StudyInstanceUID": "../../etc"}, r"StudyInstanceUID .* is not a UID: '../../etc'"),
        ({"SeriesInstanceUID": "1." * 32 + "1"}, "is not a UID"),
        ({"SeriesInstanceUID": "1.2\\1.3"}, "is not a UID"),
    ],
)
async def test_uids_must_be_there_and_valid(bench, dataset, fault, message):
    with pytest.raises(InvalidInstanceError, match=message):
        await bench.send(bench.archive(), dataset(**fault))
    assert not await bench.objects()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"SOPInstanceUID": "1.2.3.5"}, r"SOPInstanceUID \(0008,0018\) is 1.2.3.5 where '1.2.3.4'"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, r"SOPClassUID \(0008,0016\)"),
    ],
)
async def test_the_dataset_must_be_what_was_announced(bench, dataset, fault, message):
    with pytest.raises(IdentityMismatchError, match=message):
        await bench.send(bench.archive(), dataset(**fault))
    assert not await bench.objects()


@pytest.mark.parametrize("uid", ["", "1..2", "../1", "1" * 65, "1.2\0"])
async def test_announced_uids_must_be_valid(bench, dataset, uid):
    with pytest.raises(InvalidInstanceError, match="not a UID"):
        await bench.send(bench.archive(), dataset(), uid)


async def test_another_transfer_syntax_than_announced_is_refused(bench, dataset):
    with pytest.raises(InvalidInstanceError):
        await bench.send(bench.archive(), dataset(), syntax="1.2.840.10008.1.2")
    assert not await bench.objects()


def _element(tag, data):
    group, number = (tag >> 16).to_bytes(2, "little"), (tag & 0xFFFF).to_bytes(2, "little")
    return group + number + b"OB\0\0" + len(data).to_bytes(4, "little") + data


async def test_a_long_value_before_the_last_wanted_attribute_is_not_held(bench, dataset):
    """An encapsulated document (0042,0011) lies before attributes that an index may want."""
    header = dataset(pixels=b"")[:-12]
    data = header + _element(0x0042_0011, bytes(1 << 20)) + dataset(pixels=b"ab")[-14:]
    written = []
    make = bench.store.writer

    def writer(identity, *, durable):
        made = make(identity, durable=durable)
        write = made.write

        async def spy(chunks):
            written.append(sum(len(chunk) for chunk in chunks))
            await write(chunks)

        made.write = spy
        return made

    bench.store.writer = writer
    await bench.send(bench.archive(), data, size=1000)
    assert await bench.served() == data
    assert max(written) < 3000


async def test_attributes_after_the_identity_are_indexed_all_the_same(bench, dataset):
    async with bench.listening() as listener:
        await bench.send(bench.archive(), dataset(), size=1)
    number = tag_of("InstanceNumber")
    assert [event.attributes[number] for event in listener.events] == [("1",), ("1",)]


async def test_who_does_not_say_early_who_it_is_is_refused(bench, dataset, monkeypatch):
    monkeypatch.setattr("pacs_core.archive.incoming_instance.MAX_HELD", 5000)
    whole = dataset()
    cut = whole.index(b"\x20\0\x0d\0")
    for length, refused in ((4000, False), (6000, True)):
        data = whole[:cut] + _element(0x0019_1001, bytes(length)) + whole[cut:]
        if refused:
            with pytest.raises(InvalidInstanceError, match="no identity in"):
                await bench.send(bench.archive(), data)
        else:
            await bench.send(bench.archive(), data)


async def test_two_identities_are_refused(bench, dataset):
    whole = dataset(pixels=b"")[:-12]
    again = dataset("1.2.3.9", pixels=b"ab")
    with pytest.raises(InvalidInstanceError, match="two different identities"):
        await bench.send(bench.archive(), whole + again, size=50)
    assert not await bench.objects()


async def test_a_full_store_is_out_of_resources(bench, dataset):
    bench.store._capacity = 1000
    with pytest.raises(OutOfResourcesError, match="no room") as caught:
        await bench.send(bench.archive(), dataset(pixels=bytes(2000)))
    assert isinstance(caught.value.__cause__, StorageFullError)
    assert not await bench.objects()


async def test_a_lost_association_leaves_nothing(bench, dataset, chunks, origin):
    async def broken():
        async for chunk in chunks(dataset()[:-10]):
            yield chunk
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await bench.archive().ingest(
            broken(),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid="1.2.3.4",
            origin=origin,
        )
    assert not await bench.objects()


@pytest.mark.parametrize(
    ("durability", "durable"),
    [(Durability.COMMIT, True), (Durability.WRITE_BEHIND, False), (Durability.NONE, False)],
)
async def test_durability_is_handed_to_the_store(bench, dataset, durability, durable):
    asked = []
    make = bench.store.writer
    bench.store.writer = lambda identity, *, durable: asked.append(durable) or make(identity)
    await bench.send(bench.archive(durability=durability), dataset())
    assert asked == [durable]


async def test_events_tell_received_then_stored(bench, dataset):
    async with bench.listening() as listener:
        await bench.send(bench.archive(), dataset())
    assert listener.seen == [("received", "1.2.3.4"), ("stored", "1.2.3.4")]
    received, stored = listener.events
    assert received.instance.key == ""
    assert received.instance.size == stored.instance.size
    assert stored.attributes[tag_of("PatientID")] == ("P1",)


async def test_no_events_of_what_is_refused(bench, dataset):
    async with bench.listening() as listener:
        with pytest.raises(InvalidInstanceError):
            await bench.send(bench.archive(), dataset()[:-1])
    assert not listener.events


async def test_delete_takes_row_and_object_and_is_recorded(bench, dataset, origin):
    archive = bench.archive()
    async with bench.listening() as listener:
        result = await bench.send(archive, dataset())
        assert await archive.delete(InstancePath("1.2.3", "1.2.3.4"), origin) == result.instance
    assert not await bench.objects()
    assert await archive.locate(InstancePath("1.2.3", "1.2.3.4")) is None
    (event,) = bench.trail.events
    assert (event.kind.value, event.outcome.value) == ("delete", "success")
    assert event.details["sop_instance_uid"] == "1.2.3.4"
    assert listener.seen[-1] == ("deleted", "1.2.3.4")


async def test_what_cannot_be_recorded_is_not_deleted(bench, dataset, origin):
    archive = bench.archive()
    await bench.send(archive, dataset())
    bench.trail.failure = RuntimeError("no audit")
    with pytest.raises(RuntimeError):
        await archive.delete(InstancePath("1.2.3", "1.2.3.4"), origin)
    assert await bench.served() == dataset()


async def test_delete_of_nothing(bench, origin):
    with pytest.raises(InstanceNotFoundError, match=r"1\.2\.3\.4"):
        await bench.archive().delete(InstancePath("1.2.3", "1.2.3.4"), origin)


async def test_delete_of_a_row_whose_object_is_gone(bench, dataset, origin):
    archive = bench.archive()
    result = await bench.send(archive, dataset())
    await bench.store.delete(result.instance.key)
    await archive.delete(InstancePath("1.2.3", "1.2.3.4"), origin)
    assert await archive.locate(InstancePath("1.2.3", "1.2.3.4")) is None


async def test_open_gives_the_object_or_says_that_it_is_gone(bench, dataset):
    archive = bench.archive()
    result = await bench.send(archive, dataset())
    async with await archive.open(result.instance) as reader:
        assert reader.size == result.instance.size
    await bench.store.delete(result.instance.key)
    with pytest.raises(InstanceNotFoundError):
        await archive.open(result.instance)
