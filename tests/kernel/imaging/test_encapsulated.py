"""Encapsulated Pixel Data to frames and back (PS3.5 A.4, PS3.3 C.7.6.3.1.8)."""

from itertools import accumulate, chain, pairwise
from struct import pack, unpack

import pytest
from hypothesis import given, strategies as st

from pacs_core.imaging import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    MAX_FRAGMENTS_PER_FRAME,
    SEQUENCE_END,
    EncapsulatedFrames,
    ImageError,
    encapsulate,
    encapsulated_length,
    extended_offset_table,
    frame_item,
    offsets_of,
)

JPEG = "1.2.840.10008.1.2.4.50"
J2K = "1.2.840.10008.1.2.4.90"
JXL = "1.2.840.10008.1.2.4.110"
RLE = "1.2.840.10008.1.2.5"
DEFLATED = "1.2.840.10008.1.2.8.1"
PRIVATE = "1.2.3.4"

HEADER = 12  # of Pixel Data: the parser begins after it
EMPTY_TABLE = pack("<HHI", 0xFFFE, 0xE000, 0)


def item(fragment):
    return b"".join(frame_item(fragment)) if fragment else EMPTY_TABLE


def table(*offsets):
    return pack(f"<HHI{len(offsets)}I", 0xFFFE, 0xE000, 4 * len(offsets), *offsets)


def value(*fragments, head=EMPTY_TABLE):
    return head + b"".join(map(item, fragments)) + SEQUENCE_END


def split(image, uid, data, **options):
    parser = EncapsulatedFrames(image, uid, **options)
    frames = parser.feed(data)
    parser.finish()
    return frames, parser


def jpeg(body):
    return b"\xff\xd8\xff\xda\0\2" + body + b"\xff\xd9"


def j2k(body):
    part = pack(">HHHLBB", 0xFF90, 10, 0, 14 + len(body), 0, 1) + b"\xff\x93" + body
    return b"\xff\x4f\xff\x51\0\2" + part + b"\xff\xd9"


def rle(body, segments=1):
    """Return a frame of 8 bits (PS3.5 G.5)."""
    return pack("<16I", segments, 64, *[0] * 14) + body


# No 0xFF: entropy coded data has no markers in it (ISO 10918-1 B.1.1.5).
BODIES = st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"\xff", b"\xfe"))
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


def even(frame):
    return frame + bytes(len(frame) % 2)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=9), PLACES, st.binary())
def test_frames_come_back_however_they_arrive(image, cut, frames, places, rest):
    lengths = [len(frame) for frame in frames]
    written = encapsulate(lengths) + b"".join(map(item, frames)) + SEQUENCE_END
    assert len(written) == encapsulated_length(lengths)
    parser = EncapsulatedFrames(image(frames=len(frames)), PRIVATE)
    read = [f for piece in cut(written[HEADER:] + rest, places) for f in parser.feed(piece)]
    parser.finish()
    assert read == [even(frame) for frame in frames]
    assert parser.rest == rest
    assert parser.notes == ()


@st.composite
def fragmented(draw, make):
    """Frames, and each of them in fragments of even length."""
    frames = [even(make(body)) for body in draw(st.lists(BODIES, min_size=1, max_size=6))]
    fragments = []
    for frame in frames:
        cuts = sorted(draw(st.sets(st.integers(1, len(frame) // 2 - 1), max_size=4)))
        marks = [0, *(2 * cut for cut in cuts), len(frame)]
        fragments.append([frame[start:end] for start, end in pairwise(marks)])
    return frames, fragments


def offsets_in(fragments):
    sizes = [sum(8 + len(fragment) for fragment in of_frame) for of_frame in fragments]
    return list(accumulate(sizes[:-1], initial=0))


@given(st.data(), st.sampled_from(["basic", "extended", "none"]), PLACES)
@pytest.mark.parametrize(("uid", "make"), [(JPEG, jpeg), (J2K, j2k)])
def test_fragments_of_a_frame_are_joined(image, cut, uid, make, data, tables, places):
    frames, fragments = data.draw(fragmented(make))
    offsets = offsets_in(fragments)
    head = table(*offsets) if tables == "basic" else EMPTY_TABLE
    written = value(*chain(*fragments), head=head)
    parser = EncapsulatedFrames(
        image(frames=len(frames)), uid, offsets if tables == "extended" else None
    )
    read = [frame for piece in cut(written, places) for frame in parser.feed(piece)]
    parser.finish()
    assert read == frames
    assert parser.notes == ()


@given(st.data(), st.booleans())
@pytest.mark.parametrize(("uid", "make"), [(JPEG, jpeg), (J2K, j2k)])
def test_no_table_mixes_frames_that_tell_themselves_apart(image, uid, make, data, extended):
    frames, fragments = data.draw(fragmented(make))
    starts = offsets_in([[fragment] for fragment in chain(*fragments)])
    offsets = st.one_of(st.sampled_from(starts), st.integers(0, 0xFFFF_FFFF))
    count = st.sampled_from([len(frames), len(starts)])
    lies = data.draw(count.flatmap(lambda size: st.lists(offsets, min_size=1, max_size=size)))
    written = value(*chain(*fragments), head=EMPTY_TABLE if extended else table(*lies))
    read, _ = split(
        image(frames=len(frames)), uid, written, extended_offsets=lies if extended else None
    )
    assert read == frames


def test_extended_lengths_tell_where_padding_begins(image):
    frames = [b"abc", b"defg", b"h"]
    data = value(*frames)
    lengths = [3, 4, 1]
    read, _ = split(
        image(frames=3), PRIVATE, data, extended_offsets=[0, 12, 24], extended_lengths=lengths
    )
    assert read == frames


@pytest.mark.parametrize("lengths", [[3, 4], [9, 9, 9], [0, 0, 0]])
def test_extended_lengths_that_are_wrong_cut_nothing_off(image, lengths):
    frames = [b"abcd", b"defg", b"hi"]
    read, parser = split(
        image(frames=3),
        PRIVATE,
        value(*frames),
        extended_offsets=[0, 12, 24],
        extended_lengths=lengths,
    )
    assert read == frames
    assert any("Lengths" in note for note in parser.notes)


def test_a_total_beyond_32_bits_needs_the_extended_table():
    lengths = [0x8000_0001, 0x7FFF_FFFF, 5]
    head = encapsulate(lengths)
    assert head[HEADER:] == EMPTY_TABLE
    values = extended_offset_table(lengths)
    (vr, offsets), (_, stored) = (
        values[EXTENDED_OFFSET_TABLE],
        values[EXTENDED_OFFSET_TABLE_LENGTHS],
    )
    assert vr == "OV"
    assert unpack("<3Q", offsets) == (0, 0x8000_000A, 0x1_0000_0012)
    assert unpack("<3Q", stored) == tuple(lengths)
    assert list(offsets_of(offsets)) == [0, 0x8000_000A, 0x1_0000_0012]


def test_a_total_within_32_bits_has_the_basic_table_only():
    last = 0xFFFF_FFFE - 10 - 8
    assert extended_offset_table([2, last]) == {}
    assert encapsulate([2, last])[HEADER:] == table(0, 10)
    assert extended_offset_table([2, last + 2])


@pytest.mark.parametrize("raw", [b"1234567", bytes((1 << 24) + 8)])
def test_an_extended_table_that_cannot_be_is_refused(raw):
    with pytest.raises(ImageError, match="Extended Offset Table"):
        offsets_of(raw)


def test_an_odd_fragment_is_noted(image):
    odd = pack("<HHI", 0xFFFE, 0xE000, 3) + b"abc"
    frames, parser = split(image(), PRIVATE, EMPTY_TABLE + odd + SEQUENCE_END)
    assert frames == [b"abc"]
    assert parser.notes == ("a fragment has an odd length",)


def test_an_empty_frame_is_not_written():
    with pytest.raises(ImageError, match="0 bytes"):
        frame_item(b"")


def test_a_single_frame_takes_all_fragments(image):
    frames, _ = split(image(), PRIVATE, value(b"ab", b"cd", b"", b"ef"))
    assert frames == [b"abcdef"]


BAD_TABLES = [
    table(0, 8),  # too few
    table(0, 18, 36, 54),  # too many
    table(2, 18, 36),  # not from the start
    table(0, 36, 18),  # not ascending
    table(0, 18, 18),
    table(0, 17, 36),  # not where a fragment is
    table(0, 18, 0xFFFF_FFF0),  # beyond the end
    pack("<HHI", 0xFFFE, 0xE000, 6) + bytes(6),
]


@pytest.mark.parametrize("bad", BAD_TABLES)
@pytest.mark.parametrize(("uid", "make"), [(JPEG, jpeg), (J2K, j2k), (RLE, rle)])
def test_a_bad_table_is_not_used_where_codestreams_tell(image, bad, uid, make):
    expected = [make(b"one!"), make(b"two!"), make(b"six!")]
    frames, parser = split(image(frames=3), uid, value(*expected, head=bad))
    assert frames == expected
    assert len(parser.notes) == 1
    assert "not used" in parser.notes[0]


@pytest.mark.parametrize("bad", [[0, 7, 9], [0, 20], [5, 10, 20]])
def test_a_bad_extended_table_gives_way_to_the_basic_one(image, bad):
    frames = [jpeg(b"1111"), jpeg(b"2222"), jpeg(b"3333")]
    read, parser = split(
        image(frames=3), JPEG, value(*frames, head=table(0, 18, 36)), extended_offsets=bad
    )
    assert read == frames
    assert "Extended" in parser.notes[0]


def test_a_bad_table_that_had_to_be_relied_on_is_refused(image):
    # Two frames in three fragments by the table, which then misses: nothing tells which is which.
    data = value(b"ab", b"cd", b"ef", b"gh", head=table(0, 20, 25))
    with pytest.raises(ImageError, match="contradicts"):
        split(image(frames=3), PRIVATE, data)


def test_a_table_settles_what_codestreams_leave_open(image):
    # The second frame lacks its end, the third its beginning.
    frames = [jpeg(b"11"), jpeg(b"2222")[:-2], jpeg(b"33"), b"no start\xff\xd9"]
    offsets = offsets_in([[frame] for frame in frames])
    read, parser = split(image(frames=4), JPEG, value(*frames, head=table(*offsets)))
    assert read == frames
    assert parser.notes == ()
    assert split(image(frames=4), JPEG, value(*frames))[0] == frames


def test_data_that_is_no_codestream_is_left_to_the_table(image):
    frames, parser = split(image(frames=2), JPEG, value(b"ab", b"cd", b"ef", head=table(0, 20)))
    assert frames == [b"abcd", b"ef"]
    assert "no codestream" in parser.notes[0]


@pytest.mark.parametrize("uid", [RLE, DEFLATED])
def test_each_fragment_is_a_frame_where_nothing_tells_more(image, uid):
    """PS3.5 A.4.2, A.4.13: a frame is one fragment. But what if there is one frame only?"""
    assert split(image(frames=2), uid, value(b"ab", b"cd"))[0] == [b"ab", b"cd"]
    assert split(image(frames=2), uid, value(b"ab", b"cd", b""))[0] == [b"ab", b"cd"]
    assert split(image(), uid, value(b"ab", b"cd", b""))[0] == [b"abcd"]


@given(st.data(), PLACES, st.sampled_from(["right", "none"]))
def test_run_length_frames_in_several_fragments(image, cut, data, places, offsets):
    """PS3.5 A.4.2 wants one fragment a frame; not all writers do."""
    # No fragment but the first of a frame looks as if a header began there.
    frames, fragments = data.draw(fragmented(lambda body: rle(body.replace(b"\1", b"\2"))))
    if data.draw(st.booleans()):
        fragments[-1].append(b"")
    head = table(*offsets_in(fragments)) if offsets == "right" else EMPTY_TABLE
    parser = EncapsulatedFrames(image(frames=len(frames)), RLE)
    written = value(*chain(*fragments), head=head)
    read = [frame for piece in cut(written, places) for frame in parser.feed(piece)]
    parser.finish()
    assert read == frames
    assert parser.notes == ()


def test_a_short_run_length_fragment_is_no_frame_too_many(image):
    """It is like the beginning of a header, which is as long as it is."""
    frame = rle(b"\1\0")
    assert split(image(), RLE, value(frame[:64], frame[64:]))[0] == [frame]
    with pytest.raises(ImageError, match="starts frame 2"):
        split(image(), RLE, value(frame, frame))


@pytest.mark.parametrize(("uid", "make"), [(JPEG, jpeg), (J2K, j2k)])
@pytest.mark.parametrize("trailing", [b"", bytes(200), b"\xcc" * 10, b"\xff\xff", b"\0\xff\xd9\0"])
def test_frames_are_told_apart_whatever_follows_their_ends(image, uid, make, trailing):
    frames = [make(b"11\xff\0") + trailing, make(b"2222") + trailing, make(b"33")]
    fragments = [part for frame in frames for part in (frame[:8], frame[8:])]
    fragments += [b"", b"\xcc\xcc"]
    read, parser = split(image(frames=3), uid, value(*fragments))
    assert read == [*frames[:2], frames[2] + b"\xcc\xcc"]
    assert parser.notes == ()


def test_zeros_between_fragments_are_passed_over(image):
    data = EMPTY_TABLE + bytes(16) + item(b"ab") + bytes(8) + item(b"cd") + bytes(64) + SEQUENCE_END
    read, parser = split(image(), PRIVATE, data)
    assert read == [b"abcd"]
    assert parser.notes == ("there are zeros between the fragments",)


def test_a_preview_does_not_end_its_frame(image):
    """The JPEG within an APP1 segment has an EOI of its own."""
    preview = b"\xff\xd8\xff\xe1\0\x08" + b"ab\xff\xd8\xff\xd9"
    frames = [preview + jpeg(b"11")[2:], jpeg(b"22")]
    fragments = [preview, jpeg(b"11")[2:], frames[1]]
    assert split(image(frames=2), JPEG, value(*fragments))[0] == frames


def test_jpeg_xl_frames_are_told_by_their_signatures(image):
    frames = [b"\xff\x0aab", b"\0\0\0\x0cJXL \r\n\x87\ncd", b"\xff\x0aef"]
    data = value(frames[0], frames[1][:6] + b"", head=EMPTY_TABLE)
    with pytest.raises(ImageError, match="frames"):
        split(image(frames=3), JXL, data)
    assert split(image(frames=3), JXL, value(*frames))[0] == frames


@pytest.mark.parametrize(
    ("frames", "bodies"),
    [
        (1, [b"11", b"22"]),
        (3, [b"11", b"22"]),
        (2, [b"11", b"22", b"33"]),
        (2, []),
    ],
)
@pytest.mark.parametrize(("uid", "make"), [(JPEG, jpeg), (J2K, j2k), (RLE, rle)])
def test_other_frames_than_announced_are_refused(image, frames, bodies, uid, make):
    with pytest.raises(ImageError, match="NumberOfFrames"):
        split(image(frames=frames), uid, value(*map(make, bodies)))


@pytest.mark.parametrize(
    "data",
    [
        SEQUENCE_END,  # no Basic Offset Table
        pack("<HHI", 0x0010, 0x0010, 0),
        pack("<HHI", 0xFFFE, 0xE000, 0xFFFF_FFFF),
        EMPTY_TABLE + pack("<HHI", 0xFFFE, 0xE000, 0xFFFF_FFFF),
        EMPTY_TABLE + pack("<HHI", 0xFFFE, 0xE00D, 0),
        EMPTY_TABLE + pack("<HHI", 0xFFFE, 0xE0DD, 4),
        EMPTY_TABLE + item(b"ab") + b"\x10\0\x10\0LO\x02\0",
    ],
)
def test_other_elements_than_items_are_refused_with_their_position(image, data):
    with pytest.raises(ImageError, match=r"at byte \d+ of Pixel Data"):
        split(image(), PRIVATE, data)


@given(st.integers(0, 200))
def test_a_value_that_is_cut_short_is_refused(image, length):
    data = value(jpeg(b"11"), jpeg(b"22"), head=table(0, 16))
    with pytest.raises(ImageError, match="ends before"):
        split(image(frames=2), JPEG, data[: length % len(data)])


@given(st.binary(max_size=200), st.integers(1, 3), st.sampled_from([JPEG, JXL, RLE, PRIVATE]))
def test_garbage_is_refused_or_split_into_what_it_has(image, data, frames, uid):
    parser = EncapsulatedFrames(image(frames=frames), uid)
    try:
        read = parser.feed(EMPTY_TABLE + data)
        parser.finish()
    except ImageError:
        return
    assert len(read) == frames
    assert sum(map(len, read)) < len(data)


def test_empty_fragments_are_harmless_until_they_are_too_many(image):
    data = EMPTY_TABLE + item(b"ab") + EMPTY_TABLE * (MAX_FRAGMENTS_PER_FRAME - 1)
    assert split(image(), PRIVATE, data + SEQUENCE_END)[0] == [b"ab"]
    with pytest.raises(ImageError, match="fragments"):
        split(image(), PRIVATE, data + EMPTY_TABLE * 100_000)


def test_empty_fragments_start_no_frame(image):
    frames = [jpeg(b"11"), jpeg(b"22")]
    assert split(image(frames=2), JPEG, value(b"", frames[0], b"", frames[1], b""))[0] == frames


@pytest.mark.parametrize("uid", [PRIVATE, RLE])
def test_an_empty_frame_is_refused(image, uid):
    with pytest.raises(ImageError, match="make 2 frames, but NumberOfFrames is 3"):
        split(image(frames=3), uid, value(b"ab", b"", b"cd"))
    with pytest.raises(ImageError, match="frame 2 is empty"):
        split(image(frames=3), uid, value(b"ab", b"", b"cd", head=table(0, 10, 18)))


def test_a_frame_beyond_the_limit_is_refused_before_it_arrives(image):
    parser = EncapsulatedFrames(image(), PRIVATE, max_frame_bytes=10)
    parser.feed(EMPTY_TABLE + item(b"12345678"))
    with pytest.raises(ImageError, match="10 bytes allowed"):
        parser.feed(pack("<HHI", 0xFFFE, 0xE000, 4))


@pytest.mark.parametrize(("frames", "length"), [(1, 1 << 16), (5_000_000, 20_000_000)])
def test_a_table_of_no_use_is_passed_over_not_held(image, frames, length):
    parser = EncapsulatedFrames(image(frames=frames), PRIVATE)
    parser.feed(pack("<HHI", 0xFFFE, 0xE000, length))
    parser.feed(bytes(length - 1))
    assert sum(len(held) for held in vars(parser).values() if isinstance(held, bytearray)) == 0
    assert "not used" in parser.notes[0]


def test_a_basic_table_that_is_passed_over_does_not_shift_the_extended_one(image):
    data = value(b"ab", b"cd", b"ef", head=table(0, 10, 20))
    frames, _ = split(image(frames=2), PRIVATE, data, extended_offsets=[0, 20])
    assert frames == [b"abcd", b"ef"]


@pytest.mark.parametrize(
    ("offsets", "fault"),
    [([0], "1 entries"), ([2, 10], "begins with 2"), ([0, 0], "ascend"), ([0, 9], "offset 10")],
)
def test_notes_say_what_is_wrong_with_a_table(image, offsets, fault):
    data = value(b"ab", b"cd")
    frames, parser = split(image(frames=2), PRIVATE, data, extended_offsets=offsets)
    assert frames == [b"ab", b"cd"]
    (note,) = parser.notes
    assert fault in note
