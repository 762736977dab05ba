"""The rules of conversion, each by an example or by a second, naive encoder (PS3.5 §6.2, §7)."""

import struct
import tracemalloc
from contextlib import nullcontext

import pytest
from hypothesis import given, strategies as st

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DatasetRecoder,
    MalformedDataset,
    UnencodableValue,
    element_header,
    encoding_of,
)

IMPLICIT, LITTLE, BIG = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
UNDEFINED = 0xFFFF_FFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD

# VR: bytes of a word, an attribute that PS3.6 gives this VR. Others are of any length.
NUMBERS = {
    "AT": (2, 0x0020_9165),
    "FD": (8, 0x0018_9087),
    "FL": (4, 0x0018_9461),
    "OD": (8, 0x7FE0_0009),
    "OF": (4, 0x0066_0016),
    "OL": (4, 0x0066_0129),
    "OV": (8, 0x7FE0_0001),
    "OW": (2, 0x0028_1201),
    "SL": (4, 0x0018_6020),
    "SV": (8, 0x0072_0082),
    "SS": (2, 0x0028_9503),
    "UL": (4, 0x0008_1161),
    "US": (2, 0x0028_0010),
    "UV": (8, 0x0072_0083),
}
BYTES = {
    "PN": 0x0010_0010,
    "LO": 0x0009_0010,
    "UN": 0x0009_1001,
    "UT": 0x0040_A160,
}
SEQUENCE = 0x0040_A730


def pack(uid, tag, length, vr=""):
    """Write a header naively."""
    encoding = encoding_of(uid)
    order = "<" if encoding.little_endian else ">"
    start = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not vr or not encoding.explicit:
        return start + struct.pack(order + "I", length)
    if vr in {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UN", "UT", "UV"}:
        return start + vr.encode() + struct.pack(order + "HI", 0, length)
    return start + vr.encode() + struct.pack(order + "H", length)


def encode(uid, tree, defined):
    """Encode elements: tag, VR, and bytes of little endian words, or items."""
    out = b""
    for tag, vr, value in tree:
        if vr == "SQ":
            items = b"".join(_item(uid, encode(uid, item, defined), defined) for item in value)
            length = len(items) if defined else UNDEFINED
            out += pack(uid, tag, length, vr) + items
            out += b"" if defined else pack(uid, SEQUENCE_END, 0)
            continue
        size = NUMBERS[vr][0] if vr in NUMBERS else 1
        if not encoding_of(uid).little_endian:
            words = [value[start : start + size] for start in range(0, len(value), size)]
            value = b"".join(word[::-1] for word in words)
        out += pack(uid, tag, len(value), vr) + value
    return out


def _item(uid, elements, defined):
    if defined:
        return pack(uid, ITEM, len(elements)) + elements
    return pack(uid, ITEM, UNDEFINED) + elements + pack(uid, ITEM_END, 0)


def numbers(vr):
    size, tag = NUMBERS[vr]
    values = st.lists(st.binary(min_size=size, max_size=size), max_size=4)
    return values.map(lambda words: (tag, vr, b"".join(words)))


def texts(vr):
    values = st.lists(st.binary(min_size=2, max_size=2), max_size=9)
    return values.map(lambda pairs: (BYTES[vr], vr, b"".join(pairs)))


leaves = st.one_of(*map(numbers, NUMBERS), *map(texts, BYTES))
trees = st.recursive(
    st.lists(leaves, max_size=4),
    lambda inner: st.lists(
        leaves | st.lists(inner, max_size=3).map(lambda items: (SEQUENCE, "SQ", items)), max_size=4
    ),
    max_leaves=8,
)
encodings = st.sampled_from([IMPLICIT, LITTLE, BIG])


@given(trees, encodings, encodings, st.booleans(), st.integers(1, 40))
def test_all_pairs_of_encodings_agree_with_a_naive_encoder(
    recode, tree, source, target, defined, size
):
    kept = defined and source == target
    converted = recode(encode(source, tree, defined), source, target, size)
    assert converted == encode(target, tree, kept)


@given(trees, encodings, encodings, st.data())
def test_a_truncated_dataset_is_noticed_or_ends_between_elements(
    recode, tree, source, target, data
):
    whole = encode(source, tree, defined=True)
    cut = data.draw(st.integers(0, len(whole)))
    ends = {len(encode(source, tree[:count], defined=True)) for count in range(len(tree) + 1)}
    with nullcontext() if cut in ends else pytest.raises(MalformedDataset):
        recode(whole[:cut], source, target)


@given(st.binary(max_size=200), encodings, encodings, st.integers(1, 50))
def test_anything_gives_an_answer_and_the_same_in_chunks(recode, data, source, target, size):
    def outcome(size):
        try:
            return recode(data, source, target, size)
        except (MalformedDataset, UnencodableValue) as error:
            return str(error)

    assert outcome(None) == outcome(size)


@pytest.mark.parametrize(
    ("representation", "vr"), [(None, b"US"), (b"\0\0", b"US"), (b"\1\0", b"SS")]
)
def test_pixel_representation_decides_between_us_and_ss(recode, representation, vr):
    sign = [(0x0028_0103, "US", representation)] if representation else []
    tree = [*sign, (0x0028_0106, "US", b"\xfe\xff"), (SEQUENCE, "SQ", [[(0x0028_3002, "US", b"")]])]
    converted = recode(encode(IMPLICIT, tree, defined=True), IMPLICIT, LITTLE, 1)
    assert b"\x28\0\6\1" + vr + b"\2\0\xfe\xff" in converted
    assert b"\x28\0\2\x30" + vr + b"\0\0" in converted


def test_an_item_decides_for_itself_and_not_for_what_is_around_it(recode):
    inner = [(0x0028_0103, "US", b"\1\0"), (0x0028_0106, "US", b"\2\0")]
    tree = [(0x0008_1140, "SQ", [inner, inner[1:]]), inner[1]]
    converted = recode(encode(IMPLICIT, tree, defined=False), IMPLICIT, LITTLE)
    marks = [converted[start + 4 : start + 6] for start in range(len(converted))
             if converted[start : start + 4] == b"\x28\0\6\1"]  # fmt: skip
    assert marks == [b"SS", b"US", b"US"]


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW")])
def test_waveform_data_follow_waveform_bits_allocated(recode, bits, vr):
    tree = [(0x5400_1004, "US", struct.pack("<H", bits)), (0x5400_1010, "OW", b"abcd")]
    converted = recode(encode(IMPLICIT, tree, defined=True), IMPLICIT, BIG)
    assert converted.endswith(pack(BIG, 0x5400_1010, 4, vr) + (b"abcd" if vr == "OB" else b"badc"))


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x7FE0_0010, "OW"),
        (0x6002_3000, "OW"),
        (0x0028_3006, "OW"),
        (0x0028_1200, "OW"),
        (0x0009_0010, "LO"),
        (0x0009_1010, "UN"),
        (0x0028_FFF0, "UN"),
        (0xFFFC_FFFC, "OB"),
    ],
)
def test_what_has_no_vr_gets_that_of_the_standard(recode, tag, vr):
    converted = recode(pack(IMPLICIT, tag, 2) + b"ab", IMPLICIT, LITTLE)
    assert converted == pack(LITTLE, tag, 2, vr) + b"ab"


@pytest.mark.parametrize("target", [LITTLE, BIG])
@pytest.mark.parametrize(("length", "vr"), [(65534, "US"), (65536, "UN")])
def test_what_is_too_long_for_its_vr_becomes_unknown(recode, target, length, vr):
    value = b"\1\2" * (length // 2)
    converted = recode(pack(IMPLICIT, 0x0028_0010, length) + value, IMPLICIT, target)
    kept = target == LITTLE or vr == "UN"  # PS3.5 §6.2.2: never swapped
    value = value if kept else b"\2\1" * (length // 2)
    assert converted == pack(target, 0x0028_0010, length, vr) + value


@pytest.mark.parametrize("target", [LITTLE, BIG])
def test_a_private_sequence_stays_in_the_implicit_encoding(recode, target):
    private = encode(IMPLICIT, [(0x0009_1001, "SQ", [[(0x0028_0010, "US", b"\1\0")]])], False)
    after = [(0x0028_0010, "US", b"\2\0")]
    converted = recode(private + encode(IMPLICIT, after, True), IMPLICIT, target, 5)
    unknown = pack(target, 0x0009_1001, UNDEFINED, "UN") + private[8:]
    assert converted == unknown + encode(target, after, True)
    for back in (LITTLE, BIG, IMPLICIT):
        same = recode(converted, target, back, 7)
        assert same == recode(private + encode(IMPLICIT, after, True), IMPLICIT, back)


@pytest.mark.parametrize(
    ("vr", "value", "written"),
    [
        ("PN", b"Doe", b"Doe "),
        ("UI", b"1.2", b"1.2\0"),
        ("UN", b"a", b"a\0"),
        ("US", b"ab\0", b"ab\0\0"),
    ],
)
def test_odd_lengths_are_padded(recode, vr, value, written):
    tag = 0x0010_0010
    converted = recode(pack(LITTLE, tag, len(value), vr) + value, LITTLE, IMPLICIT, 1)
    assert converted == pack(IMPLICIT, tag, len(written)) + written


def test_group_lengths_are_left_out(recode):
    rows = [(0x0028_0010, "US", b"\1\0")]
    length = [(0x0028_0000, "UL", b"\x0a\0\0\0")]
    tree = [*length, *rows, (SEQUENCE, "SQ", [length + rows])]
    expected = [*rows, (SEQUENCE, "SQ", [rows])]
    assert recode(encode(LITTLE, tree, True), LITTLE, BIG, 3) == encode(BIG, expected, False)


def fragments(tag=0x7FE0_0010):
    whole = (
        pack(LITTLE, ITEM, 0) + pack(LITTLE, ITEM, 2) + b"\xff\xd8" + pack(LITTLE, SEQUENCE_END, 0)
    )
    return pack(LITTLE, tag, UNDEFINED, "OB") + whole


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("target", [LITTLE, RLE, JPEG])
def test_an_encapsulated_icon_is_for_who_stops_at_pixel_data(target, defined):
    """After Pixel Data nobody looks for it: it cannot be converted there."""
    item = _item(LITTLE, fragments(), defined)
    length = len(item) if defined else UNDEFINED
    icon = pack(LITTLE, 0x0088_0200, length, "SQ") + item
    icon += b"" if defined else pack(LITTLE, SEQUENCE_END, 0)
    recoder = DatasetRecoder(JPEG, target, stops_at_pixel_data=True)
    assert b"".join(recoder.feed(icon + fragments())) == icon
    assert recoder.pixel_data is not None
    recoder.take_rest()
    recoder.resume()
    if target == JPEG:
        assert b"".join(recoder.feed(icon)) == icon
        return
    with pytest.raises(UnencodableValue, match=r"\(7FE0,0010\) at byte \d+ is encapsulated"):
        recoder.feed(icon)


def test_encapsulated_pixel_data_cannot_come_from_a_native_transfer_syntax(recode):
    with pytest.raises(MalformedDataset, match="does not allow"):
        recode(fragments(), LITTLE, IMPLICIT)


def nested(depth, uid=LITTLE):
    return (pack(uid, SEQUENCE, UNDEFINED, "SQ") + pack(uid, ITEM, UNDEFINED)) * depth


SHORT = pack(LITTLE, 0x0010_0010, 4, "PN") + b"Doe^"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nested(2000), r"sequences nest deeper than 1024 \(at byte 20492\)"),
        (pack(LITTLE, ITEM, 0), r"unexpected \(FFFE,E000\)"),
        (pack(LITTLE, SEQUENCE, UNDEFINED, "SQ") + SHORT, "where an item was due"),
        (pack(LITTLE, SEQUENCE, UNDEFINED, "SQ") + pack(LITTLE, SEQUENCE_END, 0)[:4], "truncated"),
        (pack(LITTLE, SEQUENCE, 12, "SQ") + pack(LITTLE, ITEM, 4) + SHORT, "header was expected"),
        (pack(LITTLE, SEQUENCE, 18, "SQ") + pack(LITTLE, ITEM, 10) + SHORT, "claims 4 bytes"),
        (pack(LITTLE, SEQUENCE, 18, "SQ") + pack(LITTLE, ITEM, 10) + pack(LITTLE, 8, 0, "UT")[:10],
         "header is incomplete"),
        (pack(LITTLE, SEQUENCE, 30, "SQ") + pack(LITTLE, SEQUENCE_END, 0), "truncated"),
        (pack(LITTLE, 0x7FE0_0010, 0xFFFF_FFFE, "OW") + bytes(50), "truncated"),
        (b"\x10\0\x10\0UT\0\0\xff\xff\xff\xff", "VR UT cannot have undefined length"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_wherever_it_is_cut(recode, data, message):
    for size in (1, 7, len(data)):
        with pytest.raises(MalformedDataset, match=message):
            recode(data, LITTLE, BIG, size)


@pytest.mark.parametrize("source", [LITTLE, IMPLICIT])
def test_unknown_values_cannot_nest_without_end(recode, source):
    level = pack(IMPLICIT, 0x0009_1001, UNDEFINED) + pack(IMPLICIT, ITEM, UNDEFINED)
    start = pack(source, 0x0009_1001, UNDEFINED, "UN") + pack(IMPLICIT, ITEM, UNDEFINED)
    with pytest.raises(MalformedDataset, match="deeper"):
        recode(start + level * 1500, source, BIG)


@pytest.mark.parametrize("target", [IMPLICIT, BIG, LITTLE])
def test_a_huge_value_is_never_held(target):
    chunk, count = bytes(1 << 16), 1600
    recoder = DatasetRecoder(LITTLE, target)
    recoder.feed(element_header(0x7FE0_0010, "OW", len(chunk) * count, LITTLE))
    recoder.feed(b"\0")
    written = 1
    tracemalloc.start()
    for _ in range(count - 1):
        written += sum(map(len, recoder.feed(chunk)))
    written += sum(map(len, recoder.feed(chunk[1:])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    recoder.finish()
    assert peak < 8 * len(chunk)
    assert abs(written - len(chunk) * count) <= 1
