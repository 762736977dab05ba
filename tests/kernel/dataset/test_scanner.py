"""The header scanner: chunks, limits and hostile input (PS3.5 §7)."""

import struct
import zlib
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    HeaderScanner,
    MalformedDataset,
    encode_attributes,
    parse_attributes,
    read_file_meta,
)

pytestmark = pytest.mark.usefixtures("either_scan")

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
WANTED = frozenset({0x0008_0018, 0x0010_0010, 0x0020_000D, 0x0008_1110, 0x0008_1140, 0x0040_0260})
RLE = "1.2.840.10008.1.2.5"
UNDEFINED = 0xFFFF_FFFF
ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHI", 0xFFFE, element, length)
    for element, length in ((0xE000, UNDEFINED), (0xE00D, 0), (0xE0DD, 0))
)


def explicit(tag, vr, value, length=None):
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    wide = vr in {b"OB", b"OW", b"SQ", b"UN", b"UT"}
    return head + (struct.pack("<HI", 0, size) if wide else struct.pack("<H", size)) + value


NAME = explicit(0x0010_0010, b"PN", b"Doe^Jane")
NESTED = explicit(
    0x0008_1110,
    b"SQ",
    ITEM + explicit(0x0008_1155, b"UI", b"1.23") + ITEM_END + SEQUENCE_END,
    UNDEFINED,
)
SMALL = (
    explicit(0x0008_0005, b"CS", b"ISO_IR 100")
    + explicit(0x0008_0018, b"UI", b"1.2.3\0")
    + NESTED
    + explicit(0x0009_0010, b"LO", b"ACME")
    + explicit(0x0009_1001, b"UN", ITEM + struct.pack("<HHI", 8, 0x18, 2) + b"12"
               + ITEM_END + SEQUENCE_END, UNDEFINED)
    + explicit(0x0010_0010, b"PN", "Müller".encode("latin_1"))
    + explicit(0x0020_000D, b"UI", b"1.2")
    + explicit(0x7FE0_0010, b"OB", struct.pack("<HHI", 0xFFFE, 0xE000, 0)
               + struct.pack("<HHI", 0xFFFE, 0xE000, 4) + b"\xff\xd8\xff\xd9" + SEQUENCE_END,
               UNDEFINED)
)  # fmt: skip
SMALL_ATTRIBUTES = {
    0x0008_0005: ("ISO_IR 100",),
    0x0008_0018: ("1.2.3",),
    0x0008_1110: ({0x0008_1155: ("1.23",)},),
    0x0010_0010: ("Müller",),
    0x0020_000D: ("1.2",),
}


def scan(data, uid=EXPLICIT_VR_LITTLE_ENDIAN, wanted=WANTED, **limits):
    scanner = HeaderScanner(uid, wanted, **limits)
    scanner.feed(data)
    scanner.finish()
    return scanner


def outcome(chunks, uid, wanted=WANTED):
    scanner = HeaderScanner(uid, wanted)
    try:
        for chunk in chunks:
            scanner.feed(chunk)
        scanner.finish()
    except MalformedDataset as error:
        return error.what, error.offset
    return scanner.attributes, scanner.offset, scanner.oversized, scanner.incomplete


def test_wanted_values_are_collected():
    assert scan(SMALL).attributes == SMALL_ATTRIBUTES


def test_the_character_set_applies_though_it_is_not_wanted():
    scanner = scan(SMALL, wanted={0x0010_0010})
    assert scanner.attributes[0x0010_0010] == ("Müller",)


def test_a_sequence_sent_as_un_is_read_as_implicit_little_endian():
    # PS3.5 §6.2.2, note 2
    tag = 0x0009_1001
    nested = ({0x0008_0018: ("12",)},)
    assert scan(SMALL, RLE, {tag}).attributes[tag] == nested
    assert parse_attributes(SMALL, RLE)[tag] == nested


@given(cuts=st.lists(st.integers(0, len(SMALL)), max_size=12))
def test_chunk_boundaries_do_not_matter(cuts):
    edges = [0, *sorted(cuts), len(SMALL)]
    chunks = [memoryview(SMALL)[a:b] for a, b in pairwise(edges)]
    assert outcome(chunks, RLE) == outcome([SMALL], RLE)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "image_dfl.dcm", "MR_small_RLE.dcm", "test-SR.dcm", "rtplan.dcm"]
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunk_size_does_not_matter(name, size):
    data = (FILES / name).read_bytes()
    meta = read_file_meta(data)
    dataset, uid = data[meta.dataset_offset :], meta.transfer_syntax_uid
    wanted = WANTED | {0x0040_A730, 0x300A_0010}
    chunks = [dataset[start : start + size] for start in range(0, len(dataset), size)]
    assert outcome(chunks, uid, wanted)[0] == outcome([dataset], uid, wanted)[0]


def scan_passing_over(data, uid, block):
    """Scan to the end, and feed no long values; return the scanner, and how much was fed."""
    scanner, position, fed = HeaderScanner(uid, WANTED), 0, 0
    while position < len(data):
        part = data[position : position + block]
        scanner.feed(part)
        fed += len(part)
        position += len(part)
        position += scanner.pass_over(len(data) - position)
    assert position == len(data)
    scanner.finish()
    return scanner, fed


@pytest.mark.parametrize("block", [100, 5000])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "rtplan.dcm"])
def test_long_values_may_be_passed_over(name, block):
    data = (FILES / name).read_bytes()
    meta = read_file_meta(data)
    data, uid = data[meta.dataset_offset :], meta.transfer_syntax_uid
    scanner, fed = scan_passing_over(data, uid, block)
    assert scanner.attributes == scan(data, uid).attributes
    assert scanner.offset == len(data)
    assert block > 100 or fed < len(data)


@given(cut=st.integers(1, 4000), block=st.integers(1, 600))
def test_a_cut_is_noticed_though_values_are_passed_over(cut, block):
    data = NAME + explicit(0x7FE0_0010, b"OW", bytes(4000))
    with pytest.raises(MalformedDataset, match="truncated"):
        scan_passing_over(data[:-cut], EXPLICIT_VR_LITTLE_ENDIAN, block)


@settings(max_examples=300)
@given(
    data=st.binary(max_size=300),
    uid=st.sampled_from(
        [
            IMPLICIT_VR_LITTLE_ENDIAN,
            EXPLICIT_VR_LITTLE_ENDIAN,
            EXPLICIT_VR_BIG_ENDIAN,
            DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        ]
    ),
)
def test_random_bytes_are_scanned_or_malformed(data, uid):
    whole = outcome([data], uid)
    split = outcome([data[:7], data[7:9], data[9:]], uid)
    # zlib reports damage only after the output of the chunk in which it lies.
    assert split == whole or uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    with suppress(MalformedDataset):
        parse_attributes(data, uid)


@settings(max_examples=300)
@given(
    position=st.integers(0, len(SMALL) - 1),
    byte=st.integers(0, 255),
    wanted=st.sampled_from([WANTED, frozenset({0x0009_1001, 0x7FE0_0010})]),
)
def test_damaged_bytes_are_scanned_or_malformed(position, byte, wanted):
    data = SMALL[:position] + bytes([byte]) + SMALL[position + 1 :]
    assert outcome([data], RLE, wanted) == outcome([data[:40], data[40:]], RLE, wanted)


def test_truncation_at_every_offset_is_noticed():
    boundaries = set()
    for end in range(len(SMALL)):
        scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, WANTED)
        scanner.feed(SMALL[:end])
        if scanner.dataset_ended_cleanly:
            boundaries.add(end)
        else:
            with pytest.raises(MalformedDataset, match="truncated"):
                scanner.finish()
    assert len(boundaries) == 8  # before each top-level element


@pytest.mark.parametrize("wanted", [frozenset({0x0010_0010}), frozenset({0x0008_1110})])
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("uid", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN])
def test_sixty_thousand_nested_sequences(uid, defined, wanted):
    levels = 60_000
    implicit = uid == IMPLICIT_VR_LITTLE_ENDIAN
    head = struct.pack("<HH", 0x0008, 0x1110) + (b"" if implicit else b"SQ\0\0")
    level = len(head) + 12
    parts = []
    for left in range(levels, 0, -1):
        inner = level * (left - 1)
        parts.append(head + struct.pack("<I", inner + 8 if defined else UNDEFINED))
        parts.append(struct.pack("<HHI", 0xFFFE, 0xE000, inner if defined else UNDEFINED))
    if not defined:
        parts.append((ITEM_END + SEQUENCE_END) * levels)
    data = b"".join(parts)
    if defined:
        scanner = scan(data, uid, wanted, thorough=True)
        assert scanner.offset == len(data)
        assert scanner.attributes == {}
        assert (0x0008_1110 in scanner.oversized) == (0x0008_1110 in wanted)
        assert "nest deeper than 1024" in scanner.oddities.obstacle
    else:
        with pytest.raises(MalformedDataset, match="nest deeper than 1024"):
            scan(data, uid, wanted)
    with pytest.raises(MalformedDataset, match="nest"):
        parse_attributes(data, uid, max_length=1 << 24)


def test_a_wanted_sequence_that_nests_too_deeply_is_left_out_and_named():
    head = explicit(0x0008_1110, b"SQ", b"", UNDEFINED) + ITEM
    scanner = scan(head * 100 + (ITEM_END + SEQUENCE_END) * 100 + NAME)
    assert scanner.attributes == {0x0010_0010: ("Doe^Jane",)}
    assert list(scanner.oddities.notes) == [
        "(0008,1110) cannot be read: sequences nest deeper than 16"
    ]


def test_done_after_the_last_wanted_element_and_structure_still_checked():
    scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, {0x0010_0010})
    assert not scanner.feed(NAME)
    assert scanner.feed(explicit(0x0010_0020, b"LO", b"4711"))
    scanner.feed(explicit(0x7FE0_0010, b"OW", b"", 1_000_000) + bytes(999_999))
    with pytest.raises(MalformedDataset, match="truncated"):
        scanner.finish()
    scanner.feed(b"\0")
    scanner.finish()


def test_descending_tags_do_not_end_the_scan():
    data = explicit(0x0010_0020, b"LO", b"4711") + explicit(0x0008_0060, b"CS", b"CT") + NAME
    wanted = {0x0008_0060, 0x0010_0010, 0x0010_0020}
    late = explicit(0x0018_0015, b"CS", b"HEAD") + explicit(0x0008_0070, b"LO", b"ACME")
    assert set(scan(data + late, wanted=wanted | {0x0008_0070}).attributes) == wanted | {
        0x0008_0070
    }


def test_odd_length_is_accepted():
    assert scan(explicit(0x0010_0010, b"PN", b"Doe")).attributes == {0x0010_0010: ("Doe",)}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (NAME + ITEM, r"unexpected \(FFFE,E000\)"),
        (explicit(0x0010_0010, b"UT", b"", UNDEFINED), "UT cannot have undefined length"),
        (NESTED[:12] + NAME, "where an item was due"),
        (NAME + b"\0\0\0\1", "truncated"),
        (NAME + b"\0", "truncated"),
    ],
)
def test_what_cannot_be_a_dataset_is_malformed(data, what):
    with pytest.raises(MalformedDataset, match=what):
        scan(data)


def test_a_long_wanted_value_is_left_out_and_named():
    data = explicit(0x0008_1140, b"UT", b"x" * 100) + NAME
    for chunks in ([data], [data[:20], data[20:]]):
        scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, WANTED, max_value=64)
        for chunk in chunks:
            scanner.feed(chunk)
        assert scanner.oversized == {0x0008_1140}
        assert scanner.attributes == {0x0010_0010: ("Doe^Jane",)}


EMPTY = b"".join(explicit(0x0009_0000 + n, b"LO", b"") for n in range(0x1000, 0x1100))


@pytest.mark.parametrize(
    "first",
    [
        EMPTY,
        explicit(0x0009_1001, b"OB", bytes(3000)),
        explicit(0x0009_1001, b"SQ", ITEM + EMPTY, UNDEFINED),
        explicit(0x0009_1001, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 9000), UNDEFINED),
    ],
)
def test_the_scan_gives_up_at_the_header_limit_before_the_caller_holds_more(first):
    scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, WANTED, max_header=1024)
    data, fed = NESTED + first + bytes(3000), 0
    while not scanner.feed(data[fed : fed + 100]):
        fed += 100
    assert scanner.incomplete
    assert fed <= 1024
    assert scanner.attributes == {0x0008_1110: SMALL_ATTRIBUTES[0x0008_1110]}


def deflated(data):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    "start",
    [
        explicit(0x0009_1001, b"OB", b"", 1 << 30),
        explicit(0x0009_1001, b"SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 1 << 30), UNDEFINED),
        explicit(0x0009_1001, b"LO", b"") * (1 << 18),
    ],
)
def test_a_deflate_bomb_is_not_inflated_beyond_the_header_limit(start):
    bomb = deflated(start + bytes(1 << 26))
    scanner = scan(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert scanner.incomplete
    assert scanner.offset <= (1 << 20) + (1 << 16)
    with pytest.raises(MalformedDataset, match="inflates to more than"):
        parse_attributes(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_deflated_dataset_is_not_inflated_beyond_its_header():
    bomb = deflated(NAME + explicit(0x7FE0_0010, b"OB", b"", 1 << 30) + bytes(1 << 26))
    scanner = scan(bomb, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert scanner.attributes == {0x0010_0010: ("Doe^Jane",)}
    assert scanner.offset < 1 << 18


def test_a_truncated_deflate_stream_is_noticed_in_the_header():
    data = deflated(NAME * 3 + explicit(0x0010_0020, b"LO", bytes(range(64, 128)) * 20))
    with pytest.raises(MalformedDataset, match="truncated"):
        scan(data[: len(data) // 2], DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, {0x0020_000D})
    with pytest.raises(MalformedDataset, match="no deflate stream"):
        scan(b"\xff" * 20, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_known_attribute_sent_as_un_takes_its_vr_from_the_dictionary():
    data = explicit(0x0010_0010, b"UN", b"Doe^Jane") + explicit(0x0028_0010, b"UN", b"\2\0")
    wanted = {0x0010_0010, 0x0028_0010}
    assert scan(data, wanted=wanted).attributes == {
        0x0010_0010: ("Doe^Jane",),
        0x0028_0010: ("2",),
    }


@pytest.mark.parametrize("uid", [EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_other_encodings(uid):
    attributes = {0x0010_0010: ("Doe^Jane",), 0x0028_0010: ("512",)}
    assert scan(encode_attributes(attributes, uid), uid, set(attributes)).attributes == attributes


PATIENT_ID = 0x0010_0020


@pytest.mark.parametrize("between", [b"", explicit(0x0028_0010, b"US", b"\1\0")])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_first_of_repeated_elements_counts(between, size):
    """PS3.5 §7.1 has each element once: who it is may not depend on what lies between."""
    first, second = explicit(PATIENT_ID, b"LO", b"JANE"), explicit(PATIENT_ID, b"LO", b"OTTO")
    dataset = first + between + second + explicit(0x7FE0_0010, b"OW", b"\0\0")
    scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, frozenset({PATIENT_ID, 0x0020_000D}))
    for start in range(0, len(dataset), size):
        scanner.feed(dataset[start : start + size])
    scanner.finish()
    assert scanner.attributes == {PATIENT_ID: ("JANE",)}
    assert list(scanner.oddities.notes) == ["(0010,0020) is there more than once: the first counts"]


@pytest.mark.parametrize("value", [b"JANE", b"J" * 200])
def test_the_first_counts_though_tags_ascend_again_to_a_third(value):
    name = explicit(0x0010_0010, b"PN", b"Doe^Jane")
    ids = [explicit(PATIENT_ID, b"LO", each) for each in (value, b"OTTO", b"KARL")]
    dataset = name.join([ids[0], ids[1], ids[2]])
    for size in (1, 7, 1000):
        scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, frozenset({PATIENT_ID, 0x0020_000D}))
        for start in range(0, len(dataset), size):
            scanner.feed(dataset[start : start + size])
        scanner.finish()
        assert scanner.attributes == {PATIENT_ID: (value.decode(),)}


def test_a_short_value_may_be_too_long_for_who_wants_it():
    for length in (2, 16, 18, 200):
        data = explicit(PATIENT_ID, b"LO", b"A" * length)
        scanner = scan(data, wanted={PATIENT_ID}, max_value=16)
        assert scanner.oversized == ({PATIENT_ID} if length > 16 else set())
        assert scanner.attributes == ({} if length > 16 else {PATIENT_ID: ("A" * length,)})


def test_a_sequence_that_is_repeated_counts_once():
    other = NESTED.replace(b"1.23", b"1.99")
    scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, WANTED)
    scanner.feed(NESTED + other + NAME)
    scanner.finish()
    assert scanner.attributes[0x0008_1110] == ({0x0008_1155: ("1.23",)},)
    assert scanner.attributes[0x0010_0010] == ("Doe^Jane",)
    assert len(scanner.oddities.notes) == 1
