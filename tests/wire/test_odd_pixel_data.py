"""Odd Pixel Data that other systems take: stored, and retrieved as what it means.

PS3.5 §8 and A.4; in implicit and explicit VR little endian, and compressed.
"""

import struct
from io import BytesIO
from itertools import count

import numpy as np
import pytest
from attrs import evolve, field, frozen
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels import pixel_array

from pacs_core.association import Proposal, connect
from pacs_core.contracts import EncodeOptions, FrameFormat
from pacs_core.dataset import file_meta, tag_of
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

CT, SEG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
ROOT = "1.2.840.10008.1.2"
IMPLICIT, EXPLICIT, RLE, J2K = ROOT, ROOT + ".1", ROOT + ".5", ROOT + ".4.90"
JLL, JLS, HTJ2K, DEFLATED_FRAMES = ROOT + ".4.70", ROOT + ".4.80", ROOT + ".4.201", ROOT + ".8.1"
GREY = FrameFormat(20, 33, 1, 16, 12, False, "MONOCHROME2")
COLOUR = FrameFormat(40, 34, 3, 8, 8, False, "RGB")
BIT = FrameFormat(5, 7, 1, 1, 1, False, "MONOCHROME2")


NUMBERS = count(1)


def samples_of(frame, frames=1):
    noise = np.random.default_rng(frame.rows)
    shape = (frames, frame.rows, frame.columns) + ((3,) if frame.samples_per_pixel == 3 else ())
    kind = "u1" if frame.bits_allocated <= 8 else "<u2"
    smooth = np.indices(shape).sum(0) * 7 + noise.integers(0, 9, shape)
    return (smooth % (1 << frame.bits_stored)).astype(kind)


@frozen
class Odd:
    """An image: what it says, what it holds, and which samples are meant."""

    syntax: str
    frame: FrameFormat
    samples: np.ndarray
    pixel_data: bytes
    changes: dict = field(factory=dict)
    photometric: str = ""
    before: bytes = b""
    """Further elements, just before Pixel Data."""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    tables = {"transcoding": {"limits": {"workers": 2}}, "archive": {"durability": "none"}}
    with node_thread(tmp_path_factory.mktemp("node"), tables) as node:
        yield node


@pytest.fixture
def encode(node):
    """Encode the frames of an image, each as a codestream."""

    def encoded(syntax, frame, samples):
        codec = node.node.opened.node.transcoder.table.encoder(syntax).create()
        return [codec.encode(one.tobytes(), frame, EncodeOptions()).data for one in samples]

    return encoded


def long(tag, vr, value, length=None):
    """Return an element with a length of 32 bits; that it has, unless given."""
    size = len(value) if length is None else length
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, size) + value


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def fragments(*parts, table=b""):
    padded = [part + bytes(len(part) % 2) for part in parts]
    return item(table) + b"".join(map(item, padded)) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def dataset_of(odd, uid, study):
    frame, data = odd.frame, Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CT, uid
    data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID = study, study + ".1", "ODD"
    data.SamplesPerPixel = frame.samples_per_pixel
    data.PhotometricInterpretation = frame.photometric_interpretation
    if frame.samples_per_pixel == 3:
        data.PlanarConfiguration = 0
    data.NumberOfFrames = len(odd.samples)
    data.Rows, data.Columns = frame.rows, frame.columns
    data.BitsAllocated, data.BitsStored = frame.bits_allocated, frame.bits_stored
    data.HighBit, data.PixelRepresentation = frame.bits_stored - 1, int(frame.is_signed)
    for name, value in odd.changes.items():
        setattr(data, name, value)
    raw = DicomBytesIO()
    raw.is_little_endian, raw.is_implicit_VR = True, False
    write_dataset(raw, data)
    length = 0xFFFFFFFF if odd.pixel_data.startswith(b"\xfe\xff\x00\xe0") else len(odd.pixel_data)
    return raw.getvalue() + odd.before + long(0x7FE00010, b"OW", odd.pixel_data, length)


async def store(node, odd):
    study = f"1.2.826.9.{next(NUMBERS)}"
    uid = study + ".2"
    async with connect(node.peer, [Proposal(CT, (odd.syntax,))]) as association:
        response = await association.c_store(CT, uid, dataset_of(odd, uid, study))
    return study, uid, response


async def get(node, study, syntax):
    received = []

    async def receive(operation):
        data = b"".join([bytes(chunk) async for chunk in operation.dataset])
        received.append(data)
        return 0x0000

    identifier = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (study,)}
    proposals = [Proposal(STUDY_GET, (EXPLICIT,)), Proposal(CT, (syntax,), scu=False, scp=True)]
    async with connect(node.peer, proposals) as association:
        responses = [r async for r in association.c_get(STUDY_GET, identifier, receive)]
    return received, responses[-1][0]


async def check(node, odd, *syntaxes):
    study, uid, response = await store(node, odd)
    assert response.status == 0x0000, response.error_comment
    for syntax in (IMPLICIT, EXPLICIT, *syntaxes):
        received, final = await get(node, study, syntax)
        assert final.status == 0x0000, (syntax, final.error_comment)
        (data,) = received
        image = dcmread(BytesIO(file_meta(CT, uid, syntax) + data))
        assert image.HighBit == image.BitsStored - 1, syntax
        found = pixel_array(image, raw=True).reshape(odd.samples.shape)
        assert np.array_equal(found, odd.samples), syntax
        if syntax in (IMPLICIT, EXPLICIT):
            expected = odd.photometric or odd.frame.photometric_interpretation
            assert image.PhotometricInterpretation == expected
            assert len(image.PixelData) == expected_length(image)


def expected_length(image):
    bits = image.Rows * image.Columns * image.SamplesPerPixel * image.BitsAllocated
    whole = (bits * int(image.NumberOfFrames) + 7) // 8
    return whole + whole % 2


TRAILING = {
    "zeros": bytes(20),
    "spaces": b" " * 20,
    "CC": b"\xcc" * 20,
    "FF": b"\xff" * 3,
    "garbage": b"\xff\xe0\x40\x00 garbage \xff",
    "a second end": b"\0\xff\xd9\0",
}


@pytest.mark.parametrize("trailing", TRAILING)
@pytest.mark.parametrize("syntax", [JLL, JLS, J2K, HTJ2K])
async def test_what_follows_the_end_of_codestreams(node, encode, syntax, trailing):
    samples = samples_of(GREY, 2)
    frames = [one + TRAILING[trailing] for one in encode(syntax, GREY, samples)]
    halves = [part for one in frames for part in (one[:100], one[100:])]
    await check(node, Odd(syntax, GREY, samples, fragments(*halves)), RLE)


@pytest.mark.parametrize("syntax", [JLL, JLS, J2K, HTJ2K])
async def test_codestreams_without_an_end_marker(node, encode, syntax):
    samples = samples_of(GREY)
    (one,) = encode(syntax, GREY, samples)
    endless = one.rstrip(b"\0").removesuffix(b"\xff\xd9")
    await check(node, Odd(syntax, GREY, samples, fragments(endless)), RLE)


async def test_run_length_frames_in_several_fragments(node, encode):
    samples = samples_of(GREY, 2)
    first, second = encode(RLE, GREY, samples)
    parts = [first[:90], first[90:], second[:70], second[70:], b""]
    await check(node, Odd(RLE, GREY, samples, fragments(*parts)), J2K)
    await check(node, Odd(RLE, GREY, samples[:1], fragments(*parts[:2])), J2K)


async def test_offsets_counted_from_the_table_itself(node, encode):
    """Off by the 8 bytes of the item header, as if they began with the table."""
    samples = samples_of(GREY, 3)
    for syntax in (JLS, RLE):
        frames = encode(syntax, GREY, samples)
        starts = np.cumsum([8] + [8 + len(one) for one in frames[:-1]]).astype("<u4")
        odd = Odd(syntax, GREY, samples, fragments(*frames, table=starts.tobytes()))
        await check(node, odd, J2K)


@pytest.mark.parametrize("name", ["YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("syntax", [J2K, JLS, JLL, RLE])
async def test_chroma_for_each_pixel_under_the_name_of_fewer(node, encode, name, syntax):
    """JPEG 2000 without component transform, and others that halve no chroma."""
    samples = samples_of(COLOUR)
    as_stored = evolve(COLOUR, photometric_interpretation="YBR_FULL")
    frames = encode(syntax, as_stored, samples)
    labelled = evolve(COLOUR, photometric_interpretation=name)
    odd = Odd(syntax, labelled, samples, fragments(*frames), photometric="YBR_FULL")
    await check(node, odd, JLS if syntax == RLE else RLE)


async def test_native_chroma_for_each_pixel_under_the_name_of_fewer(node):
    samples = samples_of(COLOUR)
    labelled = evolve(COLOUR, photometric_interpretation="YBR_FULL_422")
    odd = Odd(EXPLICIT, labelled, samples, samples.tobytes(), photometric="YBR_FULL_422")
    study, uid, response = await store(node, odd)
    assert response.status == 0x0000
    (data,), final = await get(node, study, RLE)
    assert final.status == 0x0000
    image = dcmread(BytesIO(file_meta(CT, uid, RLE) + data))
    assert image.PhotometricInterpretation == "YBR_FULL"
    assert np.array_equal(pixel_array(image, raw=True)[None], samples)


@pytest.mark.parametrize("name", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT"])
async def test_a_component_transform_makes_rgb_whatever_the_label(node, encode, name):
    samples = samples_of(COLOUR)
    labelled = evolve(COLOUR, photometric_interpretation=name)
    frames = encode(J2K, COLOUR, samples)
    await check(node, Odd(J2K, labelled, samples, fragments(*frames), photometric="RGB"), RLE)


async def test_planar_configuration_does_not_matter_to_codestreams(node, encode):
    samples = samples_of(COLOUR)
    for syntax in (J2K, RLE, JLS):
        pixel_data = fragments(*encode(syntax, COLOUR, samples))
        changes = {"PlanarConfiguration": 1}
        await check(
            node, Odd(syntax, COLOUR, samples, pixel_data, changes), RLE if syntax == JLS else JLS
        )


@pytest.mark.parametrize("surplus", [2, 60, 1001])
async def test_native_padding_in_excess(node, caplog, surplus):
    samples = samples_of(GREY, 2)
    pixel_data = samples.tobytes() + bytes(surplus + surplus % 2)
    study, uid, response = await store(node, Odd(EXPLICIT, GREY, samples, pixel_data))
    assert response.status == 0x0000
    for syntax in (IMPLICIT, J2K, RLE):
        (data,), final = await get(node, study, syntax)
        assert final.status == 0x0000
        image = dcmread(BytesIO(file_meta(CT, uid, syntax) + data))
        found = image.PixelData[: samples.nbytes] if syntax == IMPLICIT else image.pixel_array
        expected = samples.tobytes() if syntax == IMPLICIT else samples
        assert np.array_equal(found, expected)
    left_out = surplus + surplus % 2
    assert f"{uid} has odd Pixel Data: Pixel Data has {left_out} bytes more" in caplog.text


@pytest.mark.parametrize("signed", [False, True])
async def test_left_aligned_samples(node, encode, signed):
    """PS3.5 §8.1.1: High Bit says where they are. RLE keeps the words; JPEG 2000 the samples."""
    frame = evolve(GREY, is_signed=signed)
    samples = samples_of(GREY, 2).astype("<i2" if signed else "<u2")
    samples = samples - 2048 if signed else samples
    raw = samples.astype("<u2") << 4
    changes = {"HighBit": 15}
    native = Odd(EXPLICIT, frame, samples, raw.tobytes(), changes)
    study, uid, response = await store(node, native)
    assert response.status == 0x0000
    words = evolve(frame, bits_stored=16, is_signed=False)
    encapsulated = Odd(RLE, frame, samples, fragments(*encode(RLE, words, raw)), changes)
    await check(node, encapsulated, J2K)
    for syntax in (J2K, RLE):
        (data,), final = await get(node, study, syntax)
        assert final.status == 0x0000, final.error_comment
        image = dcmread(BytesIO(file_meta(CT, uid, syntax) + data))
        assert (image.BitsStored, image.HighBit) == (12, 11)
        assert np.array_equal(image.pixel_array, samples)
    (data,), _ = await get(node, study, IMPLICIT)
    image = dcmread(BytesIO(file_meta(CT, uid, IMPLICIT) + data))
    assert (image.HighBit, image.PixelData) == (15, raw.tobytes())


async def test_an_overlay_below_left_aligned_samples_is_not_lost_in_silence(node, caplog):
    samples = samples_of(GREY)
    raw = (samples << 4 | 1).tobytes()
    study, _, response = await store(node, Odd(EXPLICIT, GREY, samples, raw, {"HighBit": 15}))
    assert response.status == 0x0000
    received, final = await get(node, study, J2K)
    assert not received
    assert final.number_of_failed_suboperations == 1
    assert "HighBit is 15 with 12 of 16 bits stored" in caplog.text
    received, final = await get(node, study, IMPLICIT)
    assert final.status == 0x0000


async def test_single_bits(node, encode):
    """PS3.5 §8.1.1: frames follow each other within a byte; §8.2.2, Table 8.2.4-1: compressed."""
    samples = samples_of(BIT, 3)
    bits = np.packbits(samples.reshape(-1), bitorder="little").tobytes()
    native = Odd(EXPLICIT, BIT, samples, bits + bytes(len(bits) % 2))
    await check(node, native, RLE, J2K)
    by_byte = evolve(BIT, bits_allocated=8)
    for syntax in (RLE, J2K):
        odd = Odd(syntax, BIT, samples, fragments(*encode(syntax, by_byte, samples)))
        await check(node, odd, J2K if syntax == RLE else RLE)
    packed = [np.packbits(one.reshape(-1), bitorder="little") for one in samples]
    deflated = Odd(DEFLATED_FRAMES, BIT, samples, fragments(*encode(DEFLATED_FRAMES, BIT, packed)))
    await check(node, deflated, RLE, J2K)


async def test_native_pixel_data_in_a_transfer_syntax_that_encapsulates(node):
    """PS3.5 A.4: then the length is defined, and pixels are as in explicit VR little endian."""
    samples = samples_of(GREY, 2)
    await check(node, Odd(JLS, GREY, samples, samples.tobytes()), RLE, J2K)


async def test_encapsulated_pixel_data_in_a_native_transfer_syntax(node, caplog):
    """PS3.5 A.1: kept, since it may be mended; but the sender is warned, and nobody else misled."""
    samples = samples_of(GREY)
    odd = Odd(EXPLICIT, GREY, samples, fragments(b"\xff\xd8\xff\xd9"))
    study, _, response = await store(node, odd)
    assert response.status & 0xF000 == 0xB000
    assert "cannot be converted" in response.error_comment
    for syntax in (IMPLICIT, J2K):
        received, final = await get(node, study, syntax)
        assert not received
        assert final.number_of_failed_suboperations == 1
    assert "encapsulated" in caplog.text


ICON = FrameFormat(8, 8, 1, 8, 8, False, "MONOCHROME2")
UNDEFINED = 0xFFFFFFFF


def sequence(tag, *items, defined=True):
    if defined:
        return long(tag, b"SQ", b"".join(map(item, items)))
    ends = [struct.pack("<HHI", 0xFFFE, element, 0) for element in (0xE00D, 0xE0DD)]
    start = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    whole = b"".join(start + content + ends[0] for content in items) + ends[1]
    return long(tag, b"SQ", whole, UNDEFINED)


def icon_of(codestream, frame=ICON):
    """Return an item of an Icon Image Sequence (PS3.3 Table C.7.6.1.1.6)."""
    described = Dataset()
    described.SamplesPerPixel, described.PhotometricInterpretation = 1, "MONOCHROME2"
    described.Rows, described.Columns = frame.rows, frame.columns
    described.BitsAllocated = described.BitsStored = 8
    described.HighBit, described.PixelRepresentation = 7, 0
    raw = DicomBytesIO()
    raw.is_little_endian, raw.is_implicit_VR = True, False
    write_dataset(raw, described)
    return raw.getvalue() + long(0x7FE00010, b"OB", fragments(codestream), UNDEFINED)


def within(tag, inner, depth, defined):
    for _ in range(depth):
        inner = sequence(tag, inner, defined=defined)
    return inner


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("syntax", [JLS, J2K, RLE])
async def test_icons_are_converted_along(node, encode, syntax, defined):
    """Wherever there is a sequence: it is the transfer syntax of all Pixel Data that changes."""
    samples, shown = samples_of(GREY), samples_of(ICON)
    (codestream,) = encode(syntax, ICON, shown)
    icon = icon_of(codestream)
    before = sequence(0x00880200, icon, defined=defined)
    private = struct.pack("<HH2sH", 0x0099, 0x0010, b"LO", 4) + b"ACME"
    deep = within(0x00991001, sequence(0x00880200, icon), 5, defined)
    odd = Odd(syntax, GREY, samples, fragments(*encode(syntax, GREY, samples)))
    odd = evolve(odd, before=before + private + deep)
    study, uid, response = await store(node, odd)
    assert response.status == 0x0000, response.error_comment
    for target in (IMPLICIT, EXPLICIT, JLS if syntax != JLS else RLE):
        (data,), final = await get(node, study, target)
        assert final.status == 0x0000, final.error_comment
        image = dcmread(BytesIO(file_meta(CT, uid, target) + data))
        assert np.array_equal(pixel_array(image, raw=True)[None], samples)
        found = image.IconImageSequence[0]
        assert found.PixelData == shown.tobytes()
        if target != IMPLICIT:  # where nobody knows that a private element is a sequence
            inner = image
            for _ in range(5):
                inner = inner[0x00991001].value[0]
            assert inner.IconImageSequence[0].PixelData == shown.tobytes()
        assert b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" not in data[:-2000]
    (data,), _ = await get(node, study, syntax)
    assert data == dataset_of(odd, uid, study)


async def test_an_icon_that_cannot_be_decoded_is_left_out(node, encode, caplog):
    samples = samples_of(GREY)
    broken = sequence(0x00880200, icon_of(b"no codestream at all"))
    odd = Odd(JLS, GREY, samples, fragments(*encode(JLS, GREY, samples)), before=broken)
    study, uid, _ = await store(node, odd)
    for target in (IMPLICIT, EXPLICIT, RLE):
        (data,), final = await get(node, study, target)
        assert final.status == 0x0000, final.error_comment
        image = dcmread(BytesIO(file_meta(CT, uid, target) + data))
        assert "IconImageSequence" not in image
        assert np.array_equal(image.pixel_array[None], samples)
    assert f"{uid} is converted without its sequence (0088,0200)" in caplog.text
    (data,), _ = await get(node, study, JLS)
    assert data == dataset_of(odd, uid, study)


async def test_retired_jpeg_that_nothing_decodes_is_kept_and_passed_through(node, caplog):
    """Process 15, arithmetic coding: 1.2.840.10008.1.2.4.58."""
    retired, samples = ROOT + ".4.58", samples_of(GREY)
    odd = Odd(retired, GREY, samples, fragments(b"\xff\xd8\xff\xcb\xff\xd9"))
    study, uid, response = await store(node, odd)
    assert response.status == 0x0000, response.error_comment
    (data,), final = await get(node, study, retired)
    assert final.status == 0x0000
    assert data == dataset_of(odd, uid, study)
    received, final = await get(node, study, EXPLICIT)
    assert not received
    assert final.number_of_failed_suboperations == 1
    assert "no installed codec decodes JPEG Lossless, Non-Hierarchical (Process 15)" in caplog.text
