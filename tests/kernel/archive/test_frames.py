"""Headers and single frames of stored instances, of the node's archive and of the one in memory."""

from struct import pack

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from pacs_core.archive import NoArchive
from pacs_core.archive.frame_reading import FrameLayouts, read_frames, read_layout
from pacs_core.archive.guarded import GuardedArchive
from pacs_core.archive.instance_reading import ranges_of
from pacs_core.association import AccessControl
from pacs_core.contracts import (
    DamagedObjectError,
    FrameCount,
    FrameNotFoundError,
    InstanceNotFoundError,
    Origin,
    SingleValue,
    UnreadableFramesError,
)
from pacs_core.dataset import (
    BulkData,
    Deflater,
    ReadLimits,
    element_header,
    encode_attributes,
    parse_attributes,
    tag_of,
    transfer_syntax_uid,
)
from pacs_core.imaging import SEQUENCE_END, image_of
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.memory_store import MemoryReader
from pacs_core.transcoding.source import SourceDataset

pytestmark = pytest.mark.anyio

IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE, J2K, JPEG = map(
    transfer_syntax_uid,
    ("implicit", "explicit", "big endian", "deflated", "RLE", "JPEG 2000", "JPEG Baseline"),
)
VIDEO = "1.2.840.10008.1.2.4.100"
CT = "1.2.840.10008.5.1.4.1.1.2"
PIXEL_DATA = 0x7FE0_0010
RLE_START = pack("<II", 2, 64)


def header(frames: int = 1, uid: str = EXPLICIT, **more: str | None) -> bytes:
    named = {
        "SOPClassUID": CT,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "SamplesPerPixel": "1",
        "PhotometricInterpretation": "MONOCHROME2",
        "NumberOfFrames": str(frames),
        "Rows": "2",
        "Columns": "3",
        "BitsAllocated": "16",
        "BitsStored": "12",
        "HighBit": "11",
        "PixelRepresentation": "0",
    } | more
    return encode_attributes({tag_of(k): (v,) for k, v in named.items() if v is not None}, uid)


def native(frames: int, data: bytes, uid: str = EXPLICIT, vr: str = "OW", **more: str) -> bytes:
    data += b"\0" * (len(data) % 2)
    return header(frames, uid, **more) + element_header(PIXEL_DATA, vr, len(data), uid) + data


def item(data: bytes) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, len(data)) + data


def encapsulated(frames: int, fragments: list[bytes], table: bytes = b"", **more: str) -> bytes:
    value = b"".join(map(item, [table, *fragments])) + SEQUENCE_END
    return header(frames, **more) + element_header(PIXEL_DATA, "OB", 0xFFFFFFFF, EXPLICIT) + value


def offsets(fragments: list[bytes]) -> list[int]:
    found, position = [], 0
    for fragment in fragments:
        found.append(position)
        position += 8 + len(fragment)
    return found


class CountingArchive(MemoryArchive):
    """Counts the bytes that are read of objects."""

    read = 0

    async def open(self, instance):
        reader = await super().open(instance)
        archive = self

        class Counting(type(reader)):
            async def read(self, offset, length):
                data = await super().read(offset, length)
                archive.read += len(data)
                return data

        return Counting(await reader.read(0, reader.size))


async def frames_of(data: bytes, uid: str, numbers, archive=None):
    archive = archive or MemoryArchive()
    instance = archive.put(data, uid)
    return [frame async for frame in archive.frames(instance, numbers)]


PIXELS = bytes(range(60))


@pytest.mark.parametrize("uid", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
async def test_native_frames_are_found_by_arithmetic_and_come_in_little_endian(uid):
    words = b"".join(pack(">H" if uid == BIG else "<H", n) for n in range(30))
    data = native(5, words, EXPLICIT if uid == DEFLATED else uid)
    if uid == DEFLATED:
        deflater = Deflater()
        data = deflater.feed(data) + deflater.finish()
    frames = await frames_of(data, uid, [4, 1, 4])
    assert [frame.number for frame in frames] == [4, 1, 4]
    assert frames[0].data == pack("<6H", *range(18, 24)) == frames[2].data
    assert frames[1].data == pack("<6H", *range(6))
    assert {frame.transfer_syntax_uid for frame in frames} == {EXPLICIT}
    assert (frames[0].format.rows, frames[0].format.bits_stored) == (2, 12)


async def test_bytes_in_big_endian_words_are_swapped_wherever_a_frame_begins():
    """PS3.5 §8.1.1, A.3: 8-bit pixels of OW in big endian."""
    pixels = bytes(range(18))  # two frames of 9 bytes
    stored = b"".join(pixels[n : n + 2][::-1] for n in range(0, 18, 2))
    more = {"Rows": "3", "BitsAllocated": "8", "BitsStored": "8", "HighBit": "7"}
    frames = await frames_of(native(2, stored, BIG, **more), BIG, [1, 2])
    assert [frame.data for frame in frames] == [pixels[:9], pixels[9:]]


async def test_frames_of_single_bits_begin_with_their_first_bit():
    more = {"Columns": "5", "BitsAllocated": "1", "BitsStored": "1", "HighBit": "0"}
    bits = [0b1100110011, 0b1111100000, 0b0000011111]
    value = (bits[0] | bits[1] << 10 | bits[2] << 20).to_bytes(4, "little")
    frames = await frames_of(native(3, value, **more), EXPLICIT, [1, 2, 3])
    assert [int.from_bytes(frame.data, "little") for frame in frames] == bits


async def test_planes_stay_planes_as_the_header_says_so():
    more = {
        "SamplesPerPixel": "3",
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": "1",
        "BitsAllocated": "8",
        "BitsStored": "8",
        "HighBit": "7",
    }
    frames = await frames_of(native(2, PIXELS[:36], **more), EXPLICIT, [2])
    assert frames[0].data == PIXELS[18:36]
    assert frames[0].format.planar_configuration == 1


async def test_float_pixels_have_frames_too():
    data = header(2, BitsStored=None, HighBit=None, PixelRepresentation=None, BitsAllocated="32")
    value = pack("<12f", *range(12))
    data += element_header(0x7FE0_0008, "OF", len(value), EXPLICIT) + value
    (frame,) = await frames_of(data, EXPLICIT, [2])
    assert frame.data == value[24:]
    assert frame.format.bits_stored == 32


FRAGMENTS = [RLE_START + bytes([n]) * (200 + 2 * n) for n in range(200)]


@pytest.mark.parametrize("table", ["basic", "extended", "none", "false"])
async def test_one_frame_reads_no_other_frame(table):
    fragments = [fragment + bytes(20_000) for fragment in FRAGMENTS]
    basic, more = b"", {}
    if table in {"basic", "false"}:
        found = offsets(fragments)
        found = found if table == "basic" else [0, *(offset + 2 for offset in found[1:])]
        basic = pack("<200I", *found)
    data = encapsulated(200, fragments, basic, **more)
    if table == "extended":
        start = data.index(element_header(PIXEL_DATA, "OB", 0xFFFFFFFF, EXPLICIT))
        tables = [offsets(fragments), [len(fragment) - 1 for fragment in fragments]]
        data = (
            data[:start]
            + b"".join(
                element_header(tag, "OV", 1600, EXPLICIT) + pack("<200Q", *numbers)
                for tag, numbers in zip((0x7FE0_0001, 0x7FE0_0002), tables, strict=True)
            )
            + data[start:]
        )
    archive = CountingArchive()
    for number in (1, 137, 200):
        archive.read = 0
        (frame,) = await frames_of(data, RLE, [number], archive)
        wanted = fragments[number - 1]
        assert frame.data == (wanted[:-1] if table == "extended" else wanted)
        assert frame.transfer_syntax_uid == RLE
        assert archive.read < 60_000


@st.composite
def _images(draw):
    """Draw frames in fragments, and a table that may be false."""
    frames = draw(st.integers(1, 4))
    fragments = []
    starts = []
    for _ in range(frames):
        starts.append(len(fragments))
        body = b"\xff\xd8\xff\xda\0\2" + draw(st.binary(max_size=10)).hex().encode() + b"\xff\xd9"
        body += b"\0" * (len(body) % 2)
        cut = draw(st.sampled_from([len(body), 4, 6]))
        fragments += [part for part in (body[:cut], body[cut:]) if part]
    at = offsets(fragments)
    table = [at[start] for start in starts]
    kind = draw(st.sampled_from(["true", "none", "shifted"]))
    if kind == "shifted":
        table = [0, *(offset + 2 for offset in table[1:])]
    basic = b"" if kind == "none" else pack(f"<{frames}I", *table)
    return frames, encapsulated(frames, fragments, basic)


@given(_images())
def test_frames_are_those_of_reading_from_the_beginning(example):
    count, data = example

    async def check():
        source = SourceDataset(JPEG, _once(data))
        head = await source.header()
        image = image_of(parse_attributes(head, EXPLICIT))
        expected = [frame async for frame in source.frames(image, head)]
        found = await frames_of(data, JPEG, range(1, count + 1))
        assert [frame.data for frame in found] == expected

    anyio.run(check)


async def _once(data):
    yield data


async def test_a_jpeg_in_fragments_without_table_is_told_apart_by_its_markers():
    frame = b"\xff\xd8\xff\xe0\0\4ab" + b"\xff\xda\0\2" + b"x" * 20 + b"\xff\xd9"
    # The second fragment of the first frame begins as a frame does.
    parts = [frame[:10], b"\xff\xd8" + bytes(8), b"\xff\xd9", frame]
    data = encapsulated(2, parts, BitsAllocated="8", BitsStored="8", HighBit="7")
    with_all = [f.data for f in await frames_of(data, JPEG, [1, 2])]
    assert b"".join(with_all) == b"".join(parts)


@pytest.mark.parametrize("numbers", [[0], [1, 4], [-1], [3, 2, 10**9]])
async def test_numbers_out_of_range_fail_before_the_first_frame(numbers):
    archive = MemoryArchive()
    instance = archive.put(native(3, bytes(36)), EXPLICIT)
    came = []
    with pytest.raises(FrameNotFoundError, match="the instance has 3") as caught:
        came.extend([frame async for frame in archive.frames(instance, numbers)])
    assert not came
    assert caught.value.frames == 3


@pytest.mark.parametrize(
    ("data", "uid"),
    [
        (native(5, bytes(36)), EXPLICIT),
        (native(5, bytes(46)), EXPLICIT),  # of the fourth a part
        (encapsulated(5, [RLE_START + bytes(200)] * 3), RLE),
        (encapsulated(5, [RLE_START + bytes(200)] * 3, pack("<3I", 0, 272, 544)), RLE),
        (encapsulated(5, [RLE_START + bytes(200)] * 3, pack("<5I", 0, 272, 544, 816, 816)), RLE),
    ],
)
async def test_fewer_frames_than_is_said(data, uid):
    archive = MemoryArchive()
    instance = archive.put(data, uid)
    assert await archive.frame_count(instance) == FrameCount(3, 5)
    for numbers in ([4], [1, 4], [5]):
        with pytest.raises(FrameNotFoundError, match="has 3, though Number of Frames is 5"):
            _ = [frame async for frame in archive.frames(instance, numbers)]
    assert len([frame async for frame in archive.frames(instance, [1, 3])]) == 2


async def test_no_number_is_guessed_where_one_frame_may_be_another():
    """The second fragment begins as no codestream does: it may be a frame, or go on with one."""
    fragments = [RLE_START + bytes(200), bytes(200), RLE_START + bytes(200)]
    archive = MemoryArchive()
    instance = archive.put(encapsulated(5, fragments), RLE)
    with pytest.raises((UnreadableFramesError, FrameNotFoundError)):
        _ = [frame async for frame in archive.frames(instance, [3])]


async def test_what_has_no_pixels_has_no_frames():
    with pytest.raises(FrameNotFoundError, match="no pixels"):
        await frames_of(header(), EXPLICIT, [1])


@pytest.mark.parametrize(
    ("data", "uid", "what"),
    [
        (native(3, bytes(10)), EXPLICIT, "10 bytes|Pixel Data"),
        (encapsulated(1, [b"ab"]), EXPLICIT, "native one"),
        (encapsulated(1, [b"ab"]), VIDEO, "a video"),
        (encapsulated(3, []), RLE, "frame"),
        (native(1, bytes(12), Rows="0"), EXPLICIT, "Rows"),
    ],
)
async def test_pixel_data_that_are_not_what_they_say_are_refused(data, uid, what):
    with pytest.raises(UnreadableFramesError, match=what):
        await frames_of(data, uid, [1])


@given(st.binary(max_size=120), st.sampled_from([RLE, J2K]), st.integers(1, 3))
def test_noise_for_fragments_is_refused_or_read(value, uid, frames):
    data = header(frames) + element_header(PIXEL_DATA, "OB", 0xFFFFFFFF, EXPLICIT)

    async def check():
        archive = MemoryArchive()
        instance = archive.put(header(frames), EXPLICIT)
        reader = MemoryReader(data + value)
        stored = evolve(instance, transfer_syntax_uid=uid, dataset_offset=0)
        try:
            ranges = ranges_of(reader, stored)
            layout = await read_layout(ranges, stored)
            found = [f async for f in read_frames(layout, ranges, range(1, frames + 1))]
        except (UnreadableFramesError, FrameNotFoundError):
            return
        assert len(found) == frames

    anyio.run(check)


async def test_the_header_gives_bulk_data_as_ranges_that_can_be_read():
    document = bytes(range(256)) * 40
    data = header() + element_header(0x0042_0011, "OB", len(document), EXPLICIT) + document
    archive = MemoryArchive()
    instance = archive.put(data, EXPLICIT)
    found = await archive.header(instance)
    value = found.elements.elements[0x0042_0011].value
    assert value == BulkData(len(data) - len(document), len(document))
    pieces = [piece async for piece in archive.bulk_data(instance, value)]
    assert b"".join(pieces) == document
    inline = await archive.header(instance, ReadLimits(bulk=1 << 20))
    assert inline.elements.elements[0x0042_0011].value == document


@pytest.mark.parametrize("uid", [BIG, DEFLATED])
async def test_bulk_data_come_inflated_and_in_little_endian(uid):
    words = pack(">2000H" if uid == BIG else "<2000H", *range(2000))
    source = BIG if uid == BIG else EXPLICIT
    data = header(uid=source) + element_header(0x7001_1001, "OW", len(words), source) + words
    if uid == DEFLATED:
        deflater = Deflater()
        data = deflater.feed(data) + deflater.finish()
    archive = MemoryArchive()
    instance = archive.put(data, uid)
    value = (await archive.header(instance)).elements.elements[0x7001_1001].value
    pieces = [piece async for piece in archive.bulk_data(instance, value)]
    assert b"".join(pieces) == pack("<2000H", *range(2000))


async def test_encapsulated_pixel_data_are_no_bulk_data():
    archive = MemoryArchive()
    instance = archive.put(encapsulated(1, [RLE_START]), RLE)
    found = await archive.header(instance)
    assert found.pixel_data.length is None
    with pytest.raises(UnreadableFramesError, match="frame by frame"):
        async for _ in archive.bulk_data(instance, found.elements.elements[PIXEL_DATA].value):
            pass


async def test_the_archive_of_a_node_does_the_same_and_checks_the_size(bench, decay):
    archive = bench.archive()
    data = native(5, PIXELS)
    result = await bench.send(archive, data)
    instance = result.instance
    (frame,) = [frame async for frame in archive.frames(instance, [2])]
    assert frame.data == PIXELS[12:24]
    found = await archive.header(instance)
    assert found.elements.texts(tag_of("Rows")) == ("2",)
    value = found.elements.elements[PIXEL_DATA].value
    assert b"".join([piece async for piece in archive.bulk_data(instance, value)]) == PIXELS
    decay(bench, instance.key, lambda before: before[:-1])
    with pytest.raises(DamagedObjectError, match="bytes"):
        await archive.header(instance)
    with pytest.raises(DamagedObjectError, match="bytes"):
        _ = [frame async for frame in archive.frames(instance, [1])]


async def test_a_node_without_archive_says_so():
    with pytest.raises(LookupError, match="no archive"):
        NoArchive().frames(None, [1])
    with pytest.raises(LookupError, match="no archive"):
        await NoArchive().header(None)


async def test_who_may_not_read_an_instance_gets_nothing_of_it():
    class Nobody(AccessControl):
        async def require(self, access):
            return (SingleValue(tag_of("PatientID"), "nobody"),)

    archive = MemoryArchive()
    instance = archive.put(native(1, bytes(12)), EXPLICIT)
    guarded = GuardedArchive(archive, Nobody(), Origin("test"), "retrieve", None)
    with pytest.raises(InstanceNotFoundError):
        await guarded.header(instance)
    with pytest.raises(InstanceNotFoundError):
        _ = [frame async for frame in guarded.frames(instance, [1])]
    with pytest.raises(InstanceNotFoundError):
        _ = [piece async for piece in guarded.bulk_data(instance, BulkData(0, 1))]
    everybody = GuardedArchive(archive, AccessControl(), Origin("test"), "retrieve", None)
    assert await everybody.header(instance) == await archive.header(instance)
    assert [f.data async for f in everybody.frames(instance, [1])] == [bytes(12)]
    value = BulkData(0, 4)
    assert [p async for p in everybody.bulk_data(instance, value)] == [header()[:4]]


def jpegs(frames: int) -> tuple[bytes, list[bytes]]:
    """Return a dataset of JPEG frames without an offset table, and the frames."""
    made = [b"\xff\xd8\xff" + bytes([number]) * 61 for number in range(frames)]
    return encapsulated(frames, made, BitsAllocated="8", BitsStored="8", HighBit="7"), made


@pytest.mark.parametrize("uid", [EXPLICIT, JPEG])
async def test_where_frames_lie_is_read_once(uid):
    pixels = bytes(range(36))
    data, made = (native(3, pixels), [pixels[:12], pixels[12:24], pixels[24:]])
    if uid == JPEG:
        data, made = jpegs(3)
    archive = CountingArchive()
    instance = evolve(archive.put(data, uid), digest=b"of these bytes")
    read = []
    for number in (1, 2, 3, 2):
        before = archive.read
        (frame,) = [each async for each in archive.frames(instance, [number])]
        assert bytes(frame.data) == made[number - 1]
        read.append(archive.read - before)
    # Once it is known, nothing is read but the frame itself.
    assert read[1:] == [len(made[0])] * 3
    assert read[0] > len(made[0])
    with pytest.raises(FrameNotFoundError):
        [each async for each in archive.frames(instance, [2, 4])]


async def test_other_bytes_under_the_same_key_have_a_layout_of_their_own():
    archive = MemoryArchive()
    first = evolve(archive.put(native(2, bytes(range(24))), EXPLICIT), digest=b"first")
    await archive.delete(first.identity.path, Origin("test"))
    grown = native(2, bytes(range(100, 124)), PatientName="Doe^Somebody with a long name")
    second = evolve(archive.put(grown, EXPLICIT), digest=b"second")
    unknown = evolve(second, digest=b"")
    for instance, begins in ((second, 112), (unknown, 112)):
        assert first.key == instance.key
        (frame,) = [each async for each in archive.frames(instance, [2])]
        assert frame.data[0] == begins


async def test_layouts_are_bounded():
    layouts, archive = FrameLayouts(), MemoryArchive()
    data, _ = jpegs(200)
    instance = archive.put(data, JPEG)
    reader = await archive.open(instance)
    ranges = ranges_of(reader, instance)
    known = []
    for number in range(600):
        known.append(evolve(instance, digest=str(number).encode()))
        layout = await read_layout(ranges, instance)
        assert [each async for each in read_frames(layout, ranges, [1])]
        assert layout.weight == 400 - 200  # one fragment each
        layouts.keep(known[-1], layout)
        layouts.keep(known[-1], layout)
    held = [each for each in known if layouts.get(each) is not None]
    assert held == known[-500:]


async def test_several_look_for_frames_of_one_layout_at_once():
    archive = MemoryArchive()
    data, made = jpegs(5)
    instance = archive.put(data, JPEG)
    reader = await archive.open(instance)

    class Slow:
        size = None

        async def read(self, offset, length):
            await anyio.lowlevel.checkpoint()
            return await reader.read(instance.dataset_offset + offset, length)

    layout = await read_layout(Slow(), instance)
    found = {}

    async def read(number):
        found[number] = (await layout.read(number, Slow())).data

    async with anyio.create_task_group() as tasks:
        for number in range(1, 6):
            tasks.start_soon(read, number)
    assert [bytes(found[number]) for number in range(1, 6)] == made
