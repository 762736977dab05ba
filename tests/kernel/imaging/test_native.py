"""Native Pixel Data to frames and back (PS3.5 §8.1, Annex A; PS3.3 C.7.6.3.1)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.contracts import FrameFormat
from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
)
from pacs_core.imaging import (
    Image,
    ImageError,
    NativeFrames,
    NativeWriter,
    align_samples,
    bits_of_bytes,
    bytes_of_bits,
    native_format,
    native_frame_bits,
    native_frame_size,
    native_length,
)

SYNTAXES = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
RGB = {"samples_per_pixel": 3, "photometric_interpretation": "RGB"}
PLACES = st.lists(st.integers(0, 10_000), max_size=8)


def write(frame, frames, uid, planar=0):
    writer = NativeWriter(frame, len(frames), encoding_of(uid), planar)
    value = b"".join([*map(writer.add, frames), writer.finish()])
    assert len(value) == writer.length
    assert len(value) % 2 == 0
    return writer, value


@given(
    st.data(),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([1, 8, 16, 32]),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 1]),
    st.sampled_from(SYNTAXES),
    PLACES,
)
def test_frames_come_back_from_every_form(
    image, cut, data, rows, columns, count, bits, samples, planar, uid, places
):
    changes = RGB if samples == 3 and bits > 1 else {}
    made = image(count, rows=rows, columns=columns, bits_allocated=bits, bits_stored=1, **changes)
    size = made.format.size
    frames = [data.draw(st.binary(min_size=size, max_size=size)) for _ in range(count)]
    if bits == 1:
        mask = (1 << rows * columns) - 1
        frames = [(int.from_bytes(f, "little") & mask).to_bytes(size, "little") for f in frames]
    writer, value = write(made.format, frames, uid, planar)
    reader = NativeFrames(
        image(count, **{name: getattr(writer.format, name) for name in NAMES}),
        len(value),
        encoding_of(uid).little_endian,
        writer.vr,
    )
    assert reader.format == made.format
    assert [f for piece in cut(value, places) for f in reader.feed(piece)] == frames
    reader.finish()


NAMES = [
    "rows",
    "columns",
    "samples_per_pixel",
    "bits_allocated",
    "bits_stored",
    "photometric_interpretation",
    "planar_configuration",
]


def frames_of(image, value, little_endian=True, vr="OW"):
    reader = NativeFrames(image, len(value), little_endian, vr)
    frames = reader.feed(value)
    reader.finish()
    return frames


def test_planes_become_pixels(image):
    planes = image(2, rows=1, columns=2, planar_configuration=1, **RGB)
    assert frames_of(planes, b"RrGgBbQqHhCc") == [b"RGBrgb", b"QHCqhc"]
    wide = image(rows=1, columns=2, planar_configuration=1, bits_allocated=16, **RGB)
    assert frames_of(wide, b"R1r2G3g4B5b6") == [b"R1G3B5r2g4b6"]


@pytest.mark.parametrize(
    ("bits", "stored", "expected"),
    [
        (8, b"\x02\x01\x04\x03", [b"\x01\x02", b"\x03\x04"]),
        (16, b"\x01\x02\x03\x04\x05\x06\x07\x08", [b"\x02\x01\x04\x03", b"\x06\x05\x08\x07"]),
        (
            32,  # the word with the low half first (PS3.5 §8.1.1)
            b"\x03\x04\x01\x02" * 4,
            [b"\x04\x03\x02\x01" * 2] * 2,
        ),
    ],
)
def test_big_endian_words_are_swapped(image, bits, stored, expected):
    made = image(2, rows=1, columns=2, bits_allocated=bits)
    assert frames_of(made, stored, little_endian=False, vr="OW") == expected


def test_words_of_big_endian_may_span_frames(image):
    made = image(2, rows=1, columns=3)
    assert frames_of(made, b"\2\1\4\3\6\5", little_endian=False) == [b"\1\2\3", b"\4\5\6"]


def test_big_endian_bytes_are_not_swapped(image):
    made = image(2, rows=1, columns=2)
    assert frames_of(made, b"\1\2\3\4", little_endian=False, vr="OB") == [b"\1\2", b"\3\4"]
    with pytest.raises(ImageError, match="OW, not OB"):
        NativeFrames(image(rows=1, columns=1, bits_allocated=16), 2, False, "OB")


def test_single_bits_go_on_in_the_same_byte(image):
    made = image(3, rows=1, columns=3, bits_allocated=1, bits_stored=1)
    assert native_frame_bits(made) == 3
    assert native_length(made) == 2
    # 1,0,1 / 0,1,1 / 1,1,1 from the least significant bit on
    assert frames_of(made, bytes([0b11110101, 0b1])) == [b"\x05", b"\x06", b"\x07"]


def test_stray_bits_after_a_frame_of_single_bits_are_not_written(image):
    made = image(2, rows=1, columns=3, bits_allocated=1, bits_stored=1)
    _, value = write(made.format, [b"\xfd", b"\xfe"], EXPLICIT_VR_LITTLE_ENDIAN)
    assert value == bytes([0b110101, 0])


def test_chroma_of_two_pixels_is_given_to_each(image):
    made = image(
        2, rows=1, columns=4, samples_per_pixel=3, photometric_interpretation="YBR_FULL_422"
    )
    assert native_frame_size(made) == 8
    assert native_format(made).photometric_interpretation == "YBR_FULL"
    assert frames_of(made, b"YyBRZzCSAaDTUuEV") == [b"YBRyBRZCSzCS", b"ADTaDTUEVuEV"]


@pytest.mark.parametrize(
    "changes",
    [
        {"photometric_interpretation": "YBR_PARTIAL_422"},
        {"photometric_interpretation": "YBR_PARTIAL_420"},
        {"photometric_interpretation": "YBR_FULL_422", "columns": 3},
        {"photometric_interpretation": "YBR_FULL_422", "bits_allocated": 16},
    ],
)
def test_chroma_that_cannot_be_is_refused(image, changes):
    made = image(**{"samples_per_pixel": 3, **changes})
    with pytest.raises(ImageError, match=changes["photometric_interpretation"]):
        NativeFrames(made, native_length(made))


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "length"),
    [(3, 3, 1, 9), (3, 3, 1, 10), (2, 3, 1, 6), (3, 3, 2, 18)],
)
def test_the_value_may_have_one_byte_of_padding(image, rows, columns, frames, length):
    made = image(frames, rows=rows, columns=columns)
    assert frames_of(made, bytes(length)) == [bytes(rows * columns)] * frames


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "length"),
    [
        (3, 3, 1, 8),
        (3, 3, 2, 17),
        (3, 3, 2, 0),
        (65535, 65535, 0x7FFF_FFFF, 0xFFFF_FFFE),
    ],
)
def test_a_length_that_does_not_suffice_is_refused(image, rows, columns, frames, length):
    made = image(frames, rows=rows, columns=columns)
    with pytest.raises(ImageError, match=f"{length} bytes"):
        NativeFrames(made, length)


def test_a_value_that_ends_early_is_refused(image):
    reader = NativeFrames(image(3, rows=1, columns=2), 6)
    assert reader.feed(b"abcde") == [b"ab", b"cd"]
    with pytest.raises(ImageError, match="5 of 6 bytes, in frame 3 of 3"):
        reader.finish()


def test_a_value_that_goes_on_is_refused(image):
    reader = NativeFrames(image(rows=1, columns=2), 2)
    with pytest.raises(ImageError, match="goes on"):
        reader.feed(b"abc")


def test_no_more_than_a_frame_is_held(image):
    reader = NativeFrames(image(100, rows=10, columns=10), 10_000)
    for _ in range(130):
        reader.feed(bytes(70))
        assert len(reader._held) < 100


@pytest.mark.parametrize(
    ("uid", "bits", "header"),
    [
        (IMPLICIT_VR_LITTLE_ENDIAN, 8, b"\xe0\x7f\x10\0\x10\0\0\0"),
        (EXPLICIT_VR_LITTLE_ENDIAN, 8, b"\xe0\x7f\x10\0OB\0\0\x10\0\0\0"),
        (EXPLICIT_VR_LITTLE_ENDIAN, 16, b"\xe0\x7f\x10\0OW\0\0\x20\0\0\0"),
        (EXPLICIT_VR_BIG_ENDIAN, 16, b"\x7f\xe0\0\x10OW\0\0\0\0\0\x20"),
    ],
)
def test_the_header_that_is_written(image, uid, bits, header):
    writer = NativeWriter(image(bits_allocated=bits).format, 1, encoding_of(uid))
    assert writer.header == header


def test_frames_that_are_not_as_announced_are_not_written(image):
    writer = NativeWriter(image().format, 1, encoding_of(EXPLICIT_VR_LITTLE_ENDIAN))
    with pytest.raises(ImageError, match="1 frames"):
        writer.finish()
    with pytest.raises(ImageError, match="15 bytes where 16"):
        writer.add(bytes(15))
    writer.add(bytes(16))
    with pytest.raises(ImageError, match="0 frames to come"):
        writer.add(bytes(16))


def test_what_native_pixel_data_cannot_hold_is_not_begun(image):
    explicit = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
    with pytest.raises(ImageError, match=r"2\*\*32"):
        NativeWriter(image(rows=65535, columns=65535).format, 2, explicit)
    subsampled = image(samples_per_pixel=3, photometric_interpretation="YBR_FULL_422")
    with pytest.raises(ImageError, match="upsample"):
        NativeWriter(subsampled.format, 1, explicit)


@pytest.mark.parametrize("surplus", [2, 3, 100, 5000])
@pytest.mark.parametrize("frames", [1, 2])
def test_padding_in_excess_is_left_out(image, frames, surplus):
    """PS3.5 §8.1.1: applications should be prepared to accept it, and may delete it."""
    made = image(frames, rows=2, columns=3)
    data = bytes(range(6 * frames)) + b"\xaa" * surplus
    reader = NativeFrames(made, len(data))
    read = [frame for at in range(0, len(data), 5) for frame in reader.feed(data[at : at + 5])]
    reader.finish()
    assert b"".join(read) == data[: 6 * frames]
    assert f"{surplus} bytes more" in reader.notes[0]


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("padding", [0, 2])
def test_chroma_for_each_pixel_is_seen_by_the_length(image, planar, padding):
    """Labelled as subsampled, as it was before it was decompressed."""
    name = {"samples_per_pixel": 3, "photometric_interpretation": "YBR_FULL_422"}
    made = image(2, rows=2, columns=2, planar_configuration=planar, **name)
    data = bytes(range(24))
    reader = NativeFrames(made, 24 + padding)
    first, second = reader.feed(data + bytes(padding))
    reader.finish()
    assert reader.format.photometric_interpretation == "YBR_FULL"
    if planar:
        assert first == bytes([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    else:
        assert first + second == data
    assert "taken as YBR_FULL" in reader.notes[0]


WORDS = st.tuples(st.sampled_from([8, 16, 32]), st.integers(1, 31), st.integers(0, 31)).filter(
    lambda word: word[1] + word[2] <= word[0]
)


@given(WORDS, st.booleans(), st.data(), st.booleans())
def test_samples_come_out_from_wherever_they_are(word, is_signed, data, extended):
    """PS3.5 §8.1.1: Bits Stored up to High Bit; what is above may extend the sign."""
    allocated, stored, low_bits = word
    low = -(1 << stored - 1) if is_signed else 0
    values = data.draw(st.lists(st.integers(low, low + (1 << stored) - 1), min_size=1, max_size=9))
    kept = low_bits + stored if not extended else allocated
    mask, width = (1 << kept) - 1, allocated // 8
    raw = b"".join((value << low_bits & mask).to_bytes(width, "little") for value in values)
    form = FrameFormat(1, len(values), 1, allocated, stored, is_signed, "MONOCHROME2")
    found = align_samples(raw, form, low_bits)
    assert [
        int.from_bytes(found[at : at + width], "little", signed=is_signed)
        for at in range(0, len(found), width)
    ] == values


@pytest.mark.parametrize("stray", [0x0001, 0x0008, 0x8000])
def test_samples_are_not_taken_out_of_what_else_is_there(stray):
    """An overlay in unused bits would be lost; or High Bit is wrong, and samples would be."""
    form = FrameFormat(1, 2, 1, 16, 8, False, "MONOCHROME2")
    with pytest.raises(ImageError, match="HighBit is 11 with 8 of 16 bits"):
        align_samples((0x0120 | stray).to_bytes(2, "little") * 2, form, 4)


def test_left_aligned_frames_by_plane(image):
    made = image(rows=1, columns=2, bits_stored=4, planar_configuration=1, **RGB)
    moved = Image(made.format, 1, low_bits=4)
    reader = NativeFrames(moved, 6)
    assert reader.feed(bytes([0x10, 0x20, 0x30, 0x40, 0x50, 0x60])) == [bytes([1, 3, 5, 2, 4, 6])]


@given(st.binary(min_size=1, max_size=40), st.integers(0, 7))
def test_single_bits_and_bytes(raw, spare):
    count = 8 * len(raw) - spare
    number = int.from_bytes(raw, "little") & (1 << count) - 1
    by_byte = bytes_of_bits(raw, count)
    assert list(by_byte) == [number >> at & 1 for at in range(count)]
    assert bits_of_bytes(by_byte) == number.to_bytes((count + 7) // 8, "little")
    assert bits_of_bytes(by_byte.replace(b"\1", b"\xff")) == bits_of_bytes(by_byte)
