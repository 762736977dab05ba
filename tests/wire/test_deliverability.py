"""What was answered 0000H is delivered in every encoding; what cannot be, was answered a warning.

Each odd instance is stored over the wire, then retrieved in implicit and explicit VR little endian,
explicit VR big endian, deflated, and, if it is an image, compressed (PS3.4 B.2.3, C.4.3).
"""

import io
import json
import struct
import warnings
import zlib

import anyio
import pydicom
import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings, strategies as st
from pydicom.dataset import FileMetaDataset

from pacs_core.dataset import transfer_syntax_uid
from pacs_core.testing.node import node_thread
from pacs_core.testing.transfers import retrieve, store_dataset

pytestmark = pytest.mark.anyio

STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE = map(
    transfer_syntax_uid,
    ("implicit", "explicit", "big endian", "deflated", "RLE"),
)
TARGETS = (IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE)
SUCCESS, CANNOT_BE_CONVERTED, REFUSED = 0x0000, 0xB007, 0xC000
UNDEFINED = 0xFFFF_FFFF
STUDY, PRIVATE, SEQUENCE = "1.2.826.0.1.2", 0x0009_1001, 0x0008_1140
WIDE = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"ZZ"}


def bare(tag, length):
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def implicit(tag, value, length=None):
    return bare(tag, len(value) if length is None else length) + value


def explicit(tag, vr, value, length=None):
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack("<HI", 0, size) if vr in WIDE else struct.pack("<H", size)) + value


def text(tag, value):
    vr = b"UI" if tag >> 16 in {8, 0x20} else b"LO"
    return tag, vr, value.encode() + (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)


def number(tag, value):
    return tag, b"US", struct.pack("<H", value)


def item(value, length=None):
    return implicit(0xFFFE_E000, value, length)


ITEM_END, SEQUENCE_END = bare(0xFFFE_E00D, 0), bare(0xFFFE_E0DD, 0)
PIXELS = bytes(range(256))
IMAGE = [
    number(0x0028_0002, 1), (0x0028_0004, b"CS", b"MONOCHROME2 "), number(0x0028_0010, 16),
    number(0x0028_0011, 16), number(0x0028_0100, 8), number(0x0028_0101, 8),
    number(0x0028_0102, 7), number(0x0028_0103, 0),
]  # fmt: skip


def instance(uid, syntax, *, early=b"", middle=b"", late=b"", pixels=PIXELS):
    """Encode an image, with odd bytes before, among and after its elements."""
    write = implicit_element if syntax == IMPLICIT else explicit
    head = [text(0x0008_0016, SECONDARY_CAPTURE), text(0x0008_0018, uid)]
    rest = [text(0x0010_0020, "P1"), text(0x0020_000D, STUDY), text(0x0020_000E, STUDY + ".1")]
    data = early + b"".join(write(*element) for element in head) + middle
    data += b"".join(write(*element) for element in [*rest, *IMAGE])
    if pixels is not None:
        data += write(0x7FE0_0010, b"OW", pixels)
    return data + late


def implicit_element(tag, vr, value):
    return implicit(tag, value)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


@frozen
class Odd:
    """An odd instance: its parts, its transfer syntax, and what C-STORE answers."""

    status: int = SUCCESS
    syntax: str = EXPLICIT
    early: bytes = b""
    middle: bytes = b""
    late: bytes = b""
    pixels: bytes | None = PIXELS
    said: str = ""
    unread: tuple[str, ...] = ()
    """What pydicom does not read: it recurses, and takes UN to be in the dataset's byte order."""

    def encode(self, uid):
        data = instance(
            uid, EXPLICIT if self.syntax == DEFLATED else self.syntax,
            early=self.early, middle=self.middle, late=self.late, pixels=self.pixels,
        )  # fmt: skip
        return deflate(data) if self.syntax == DEFLATED else data


def sequence(value, length=None):
    return explicit(SEQUENCE, b"SQ", value, length)


def nest(depth, defined):
    data = explicit(0x0008_1155, b"UI", b"1.23")
    for _ in range(depth):
        inner = item(data) if defined else item(data + ITEM_END, UNDEFINED) + SEQUENCE_END
        data = sequence(inner, None if defined else UNDEFINED)
    return data


META = explicit(0x0002_0010, b"UI", b"1.2.840.10008.1.2\0")
COMMAND = implicit(0x0000_0002, b"1.2\0")
ANONYMIZER = b"Header Anonymizer "
UID_ITEM = explicit(0x0008_1155, b"UI", b"1.23")
IMPLICIT_ITEM = implicit(0x0008_1155, b"1.23")
FRAGMENTS = item(b"") + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END

CASES = {
    "plain": Odd(),
    "64 zeros": Odd(late=bytes(64), said="zeros"),
    "3 zeros": Odd(late=bytes(3), said="zeros"),
    "a megabyte of zeros": Odd(late=bytes(1 << 20), said="zeros"),
    "zeros, implicit": Odd(syntax=IMPLICIT, late=bytes(64), said="zeros"),
    "trailing padding": Odd(late=explicit(0xFFFC_FFFC, b"OB", bytes(100))),
    "group 0002": Odd(early=META, said="(0002,0010)"),
    "group 0002, implicit": Odd(syntax=IMPLICIT, early=META, said="(0002,0010)"),
    "group 0002 in an item": Odd(middle=sequence(item(META + UID_ITEM)), said="(0002,0010)"),
    "group 0000": Odd(middle=COMMAND, said="(0000,0002)"),
    "group 0000 in an item": Odd(middle=sequence(item(COMMAND + UID_ITEM)), said="(0000,0002)"),
    "200 deep": Odd(middle=nest(200, defined=False), unread=TARGETS),
    "200 deep, defined": Odd(middle=nest(200, defined=True), unread=TARGETS),
    "1100 deep, defined": Odd(CANNOT_BE_CONVERTED, middle=nest(1100, defined=True), said="deeper"),
    "1100 deep": Odd(REFUSED, middle=nest(1100, defined=False)),
    "ZZ": Odd(middle=explicit(PRIVATE, b"ZZ", b"abcd"), said="'ZZ'"),
    "ZZ of a public element": Odd(middle=explicit(0x0008_0070, b"ZZ", b"ACME"), said="'ZZ'"),
    "UK": Odd(middle=explicit(0x0008_0068, b"UK", b"FOR PROCESSING"), said="'UK'"),
    "??": Odd(middle=explicit(PRIVATE, b"??", b"abcd"), said="'??'"),
    "?? without a value": Odd(middle=explicit(PRIVATE, b"??", b""), said="'??'"),
    "two spaces": Odd(middle=explicit(PRIVATE, b"  ", b"abcd"), said="'  '"),
    "no VR": Odd(middle=implicit(PRIVATE, b"abcd"), said="no VR"),
    "a second Patient ID": Odd(late=explicit(0x0010_0020, b"LO", b"SOMEBODY"), said="the first"),
    "odd length": Odd(middle=explicit(0x0008_0070, b"LO", b"ABC")),
    "text in a sequence's place": Odd(
        late=explicit(0x0012_0064, b"LO", ANONYMIZER), said="(0012,0064)"
    ),
    "text in a sequence's place, implicit": Odd(
        syntax=IMPLICIT, late=implicit(0x0012_0064, ANONYMIZER), said="(0012,0064)"
    ),
    "text in a sequence": Odd(middle=sequence(b"Header Anonymizer"), said="holds no items"),
    "UN with implicit items": Odd(
        middle=explicit(PRIVATE, b"UN", item(IMPLICIT_ITEM) + SEQUENCE_END, UNDEFINED),
        unread=(BIG,),
    ),
    "UN with implicit items, defined": Odd(
        middle=explicit(SEQUENCE, b"UN", item(IMPLICIT_ITEM) + SEQUENCE_END)
    ),
    "private sequence": Odd(middle=explicit(PRIVATE, b"SQ", item(UID_ITEM))),
    "private sequence, implicit": Odd(
        syntax=IMPLICIT,
        middle=implicit(PRIVATE, item(IMPLICIT_ITEM) + SEQUENCE_END, UNDEFINED),
        unread=(BIG,),
    ),
    "US or SS, implicit": Odd(
        syntax=IMPLICIT, late=implicit(0x0028_0106, b"\xff\xff") + implicit(0x0028_1200, b"ab")
    ),
    "70,000 bytes of a short VR": Odd(syntax=IMPLICIT, middle=implicit(0x0008_0070, b"x" * 70_000)),
    "delimiters with lengths": Odd(
        middle=sequence(
            item(UID_ITEM + bare(0xFFFE_E00D, 8), UNDEFINED) + bare(0xFFFE_E0DD, 16), UNDEFINED
        )
    ),
    "delimiters too many": Odd(
        middle=sequence(item(UID_ITEM + ITEM_END)) + SEQUENCE_END, said="delimits nothing"
    ),
    "an item too long": Odd(middle=sequence(item(UID_ITEM, 400)), said="claims 400 bytes"),
    "an item without its end": Odd(middle=sequence(item(UID_ITEM, UNDEFINED))),
    "an item too short": Odd(
        CANNOT_BE_CONVERTED, middle=sequence(item(UID_ITEM, 8)), said="(0008,1155) claims 4 bytes"
    ),
    "an element too long": Odd(
        CANNOT_BE_CONVERTED,
        middle=sequence(item(explicit(PRIVATE, b"OB", b"ab", 4000))),
        said="claims 4000 bytes",
    ),
    "group lengths": Odd(
        middle=explicit(0x0009_0000, b"UL", b"\xff\xff\0\0"),
        early=explicit(8 << 16, b"UL", b"ab\0\0"),
    ),
    "two Pixel Data": Odd(
        CANNOT_BE_CONVERTED, late=explicit(0x7FE0_0010, b"OW", PIXELS), said="second Pixel Data"
    ),
    "fragments where none may be": Odd(
        CANNOT_BE_CONVERTED,
        pixels=None,
        late=explicit(0x7FE0_0010, b"OB", FRAGMENTS, UNDEFINED),
        said="is encapsulated",
    ),
    "no image": Odd(pixels=None),
    "deflated": Odd(syntax=DEFLATED, late=bytes(64), middle=nest(9, defined=True), said="zeros"),
    "deflated, with a fault after the header": Odd(
        CANNOT_BE_CONVERTED,
        DEFLATED,
        pixels=None,
        late=explicit(0xFFFA_FFFA, b"SQ", item(UID_ITEM, 8)),
        said="claims 4 bytes",
    ),
}


async def store(node, uid, data, syntax):
    return await store_dataset(node.peer, SECONDARY_CAPTURE, uid, data, syntax)


async def retrieve_dataset(node, uid, syntax):
    """Retrieve an instance in a transfer syntax; return the final status and the dataset."""
    received = []
    keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": STUDY + ".1", "SOPInstanceUID": uid}
    last = await retrieve(
        node.peer, keys, SECONDARY_CAPTURE, lambda _, chunk: received.append(bytes(chunk)), syntax
    )
    return last.status, b"".join(received) if received else None


def read(data, syntax):
    """Read a dataset with pydicom, every element of it, and without a warning."""
    buffer = io.BytesIO()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SECONDARY_CAPTURE, "1.2"
    buffer.write(bytes(128) + b"DICM")
    pydicom.filewriter.write_file_meta_info(buffer, meta)
    buffer.write(data)
    buffer.seek(0)
    dataset = pydicom.dcmread(buffer)
    for _ in dataset.iterall():
        pass
    return dataset


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with node_thread(tmp_path_factory.mktemp("deliver") / "data") as node:
        yield node


def audited(node, uid):
    node.call(anyio.lowlevel.checkpoint)
    lines = (node.data_directory / "audit" / "audit.jsonl").read_text().splitlines()
    return [line for line in lines if f'"{uid}"' in line and '"c-store"' in line]


@pytest.mark.parametrize("name", CASES)
async def test_what_is_acknowledged_is_delivered(node, name, caplog):
    case = CASES[name]
    uid = f"1.2.826.0.1.2.{list(CASES).index(name) + 1}"
    data = case.encode(uid)
    response = await store(node, uid, data, case.syntax)
    assert hex(response.status) == hex(case.status)
    if case.status == REFUSED:
        assert response.error_comment
        return
    with anyio.fail_after(40):
        while not (events := audited(node, uid)):  # noqa: ASYNC110
            await anyio.sleep(0.02)
    said = json.loads(events[0])
    if case.said:
        assert case.said in json.dumps(said)
        assert any(case.said in message and uid in message for message in caplog.messages)
    else:
        assert "odd" not in json.dumps(said)
    if case.status == CANNOT_BE_CONVERTED:
        assert said["outcome"] == "warning"
        assert (response.error_comment or "").startswith("Stored, cannot be converted")
        status, kept = await retrieve_dataset(node, uid, case.syntax)
        assert (status, kept) == (0x0000, data)
        return
    for target in TARGETS:
        await assert_delivered(node, uid, case, target)


async def assert_delivered(node, uid, case, target):
    if target == RLE and case.pixels is None:
        return
    status, data = await retrieve_dataset(node, uid, target)
    assert (target, hex(status)) == (target, "0x0")
    if target == case.syntax:
        assert data == case.encode(uid)
        return
    if target in case.unread:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values, which are as they came
        dataset = read(data, target)
    assert dataset.SOPInstanceUID == uid
    if case.pixels is not None:
        assert bytes(dataset.pixel_array.tobytes()) == PIXELS


async def test_a_stored_future_vr_becomes_un_and_keeps_its_value(node):
    """PS3.5 §6.2, Table 7.1-1."""
    uid = "1.2.826.0.1.2.900"
    data = instance(uid, EXPLICIT, middle=explicit(PRIVATE, b"ZZ", b"abcd"))
    assert (await store(node, uid, data, EXPLICIT)).status == SUCCESS
    for target in (BIG, DEFLATED):
        _, received = await retrieve_dataset(node, uid, target)
        element = read(received, target)[PRIVATE]
        assert (element.VR, element.value) == ("UN", b"abcd")


elements = st.sampled_from(
    [
        META, COMMAND, bytes(8), bytes(16), UID_ITEM, IMPLICIT_ITEM, ITEM_END, SEQUENCE_END,
        explicit(PRIVATE, b"??", b"ab"), explicit(PRIVATE, b"ZZ", b"ab"),
        explicit(PRIVATE, b"  ", b""),
        explicit(PRIVATE, b"UN", b"abc"), explicit(0x0012_0064, b"LO", b"text"), sequence(b"text"),
        sequence(item(UID_ITEM)), sequence(item(UID_ITEM, 30)), sequence(item(UID_ITEM, UNDEFINED)),
        sequence(item(UID_ITEM + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
        explicit(PRIVATE, b"UN", item(IMPLICIT_ITEM) + SEQUENCE_END, UNDEFINED),
        nest(3, defined=True), nest(3, defined=False), sequence(item(nest(2, defined=True) + META)),
    ]
)  # fmt: skip


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(elements, max_size=4).map(b"".join),
    st.lists(elements, max_size=3).map(b"".join),
    st.sampled_from([EXPLICIT, DEFLATED]),
)
def test_whatever_is_acknowledged_is_delivered(node, middle, late, syntax):
    case = Odd(syntax=syntax, middle=middle, late=late)
    uid = f"1.2.826.0.1.3.{zlib.crc32(case.encode('1.2'))}"

    async def deliver():
        response = await store(node, uid, case.encode(uid), syntax)
        if response.status == SUCCESS:
            for target in (IMPLICIT, BIG, RLE):
                status, data = await retrieve_dataset(node, uid, target)
                assert (status, data is not None) == (0x0000, True)
        else:
            assert response.status in (CANNOT_BE_CONVERTED, REFUSED)
            assert response.error_comment

    anyio.run(deliver)
