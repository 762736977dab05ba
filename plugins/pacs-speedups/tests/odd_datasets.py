"""Datasets for tests of agreement: real ones, those with faults, made-up ones."""

import os
import struct
from functools import partial
from pathlib import Path

import pydicom
from hypothesis import HealthCheck, settings, strategies as st

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    read_file_meta,
)

# A long test sets this: see the README.
EXAMPLES = int(os.environ.get("PACS_SPEEDUPS_EXAMPLES", "200"))
# Examples are long, and take their time where much else runs.
THOROUGHLY = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ENCAPSULATED = "1.2.840.10008.1.2.5"
UNDEFINED = 0xFFFF_FFFF
WANTED = frozenset({
    0x0008_0005, 0x0008_0016, 0x0008_0018, 0x0008_0060, 0x0008_1030, 0x0008_1110, 0x0008_1140,
    0x0010_0010, 0x0010_0020, 0x0010_1030, 0x0018_0050, 0x0020_000D, 0x0020_000E, 0x0020_0013,
    0x0028_0009, 0x0028_0010, 0x0028_0106, 0x0028_3006, 0x0040_0260, 0x0040_0275, 0x0040_A160,
    0x0040_A730, 0x0009_1001, 0x0018_9073, 0x3006_0020,
})  # fmt: skip


def datasets():
    files = Path(pydicom.__file__).parent / "data" / "test_files"
    for path in sorted(files.rglob("*.dcm")):
        data = path.read_bytes()
        if len(data) < 1 << 18 and data[128:132] == b"DICM":
            meta = read_file_meta(data)
            yield path.name, data[meta.dataset_offset :], meta.transfer_syntax_uid


DATASETS = [(data, uid) for _, data, uid in datasets() if len(data) < 1 << 16]


@st.composite
def mutations(draw):
    """Draw a real dataset, shortened, and with a few of its bytes changed, left out or repeated."""
    data, uid = draw(st.sampled_from(DATASETS))
    changed = bytearray(data[: draw(st.integers(8, min(len(data), 4000)))])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(changed) - 1))
        kind = draw(st.sampled_from(["change", "word", "remove", "repeat"]))
        stretch = draw(st.integers(1, 24))
        if kind == "change":
            changed[at] = draw(st.integers(0, 255))
        elif kind == "word":
            marks = [0, UNDEFINED, 0x7FFF_FFFF, 0xE000_FFFE, 0xE00D_FFFE, 0xE0DD_FFFE, 8, 1 << 20]
            changed[at : at + 4] = struct.pack("<I", draw(st.sampled_from(marks)))
        elif kind == "remove" and len(changed) > 64:
            del changed[at : at + stretch]
        else:
            changed[at:at] = changed[at : at + stretch]
    other = draw(
        st.sampled_from([uid, uid, uid, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
    )
    return bytes(changed), other


VRS = [
    *map(
        str.encode,
        [
            "LO",
            "PN",
            "UI",
            "US",
            "SS",
            "UL",
            "SL",
            "DS",
            "IS",
            "CS",
            "LT",
            "ST",
            "AT",
            "FD",
            "FL",
            "UT",
            "UC",
            "OB",
            "OW",
            "UN",
            "SQ",
            "UR",
            "SV",
        ],
    ),
    *(b"ZZ", b"??", b"\0\0"),
]
LONG = {b"UT", b"UC", b"OB", b"OW", b"UN", b"SQ", b"UR", b"SV", b"ZZ"}
TAGS = st.one_of(
    st.sampled_from(
        [*sorted(WANTED), 0x7FE0_0010, 0x0008_1115, 0x0054_0016, 0x0002_0010, 0x0009_0010]
    ),
    st.integers(0, UNDEFINED),
)
VALUES = st.one_of(
    st.binary(max_size=12),
    st.text("AB \\\0^", max_size=140).map(str.encode),
    st.sampled_from(
        [b"ISO_IR 192", b"\xc3\xa9t\xc3\xa9", b"\x1b$B;3\x1b(B", b"\\ISO 2022 IR 87", b"\\\\ "]
    ),
    st.sampled_from([b"\0\1", b"\xff\xff\xff\xff", b" \0 \0"]),
)
DELIMITERS = st.sampled_from([0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD])


def head(tag, vr, length, order, explicit):
    first = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not explicit or tag >> 16 == 0xFFFE:
        return first + struct.pack(order + "I", length)
    if vr in LONG:
        return first + vr + struct.pack(order + "HI", 0, length)
    return first + vr + struct.pack(order + "H", length & 0xFFFF)


@st.composite
def elements(draw, order, explicit, depth=0):
    """Draw some elements, most in order and whole, some not."""
    tags = draw(st.lists(TAGS, max_size=3 if depth else 6))
    if draw(st.integers(0, 3)):
        tags.sort()
    parts = []
    for tag in tags:
        vr = draw(st.sampled_from(VRS))
        if depth < 4 and (vr == b"SQ" or draw(st.integers(0, 3)) == 0):
            vr, value = b"SQ", b""
            for _ in range(draw(st.integers(0, 2))):
                inner = draw(elements(order, explicit, depth + 1))
                undefined = draw(st.booleans())
                value += head(
                    0xFFFE_E000, b"", UNDEFINED if undefined else len(inner), order, explicit
                )
                value += inner
                if undefined or draw(st.integers(0, 9)) == 0:
                    value += head(0xFFFE_E00D, b"", 0, order, explicit)
            length = len(value)
            if draw(st.booleans()):
                length = UNDEFINED
                value += head(0xFFFE_E0DD, b"", 0, order, explicit)
        else:
            value = draw(VALUES)
            length = len(value)
        if draw(st.integers(0, 19)) == 0:
            length = draw(
                st.sampled_from(
                    [0, 1, 7, UNDEFINED, min(length + 2, UNDEFINED), max(length - 2, 0)]
                )
            )
        parts.append(head(tag, vr, length, order, explicit) + value)
        if draw(st.integers(0, 29)) == 0:
            parts.append(
                head(draw(DELIMITERS), b"", draw(st.sampled_from([0, 4])), order, explicit)
            )
    return b"".join(parts)


ENCODINGS = {
    EXPLICIT_VR_LITTLE_ENDIAN: ("<", True),
    EXPLICIT_VR_BIG_ENDIAN: (">", True),
    IMPLICIT_VR_LITTLE_ENDIAN: ("<", False),
    ENCAPSULATED: ("<", True),
}
GENERATED = st.sampled_from(sorted(ENCODINGS)).flatmap(
    lambda uid: st.tuples(elements(*ENCODINGS[uid]), st.just(uid))
)
