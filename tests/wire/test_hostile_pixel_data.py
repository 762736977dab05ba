"""Hostile Pixel Data: kept as received, and sent right or not at all to who wants them decoded.

PS3.5 A.4: items, fragments and offset tables. PS3.4 C.4.3: what could not be sent is listed.
"""

import logging
import struct
from pathlib import Path

import pytest

from pacs_core.association import Proposal, connect
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG, RLE = "1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"
SYNTAXES = {name: JPEG + name for name in ("50", "57", "70", "80", "90", "201", "110")}
SYNTAXES |= {"RLE": RLE, "8.1": "1.2.840.10008.1.2.8.1", "1.98": "1.2.840.10008.1.2.1.98"}
ROWS, COLUMNS, FRAMES = 40, 33, 3


def each_frame(change):
    """Return a damage that changes the codestream of the second frame."""

    def damage(pixels, noise):
        (codestream,) = pixels.frames[1]
        pixels.frames[1] = [bytes(change(bytearray(codestream), noise))]

    return damage


def flip(data, noise):
    for _ in range(8):
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
    return data


def flip_early(data, noise):
    for _ in range(3):
        data[noise.randrange(min(80, len(data)))] ^= 1 << noise.randrange(8)
    return data


def overwrite(data, noise):
    start = noise.randrange(len(data) // 2)
    data[start : start + 40] = noise.randbytes(len(data[start : start + 40]))
    return data


def attributes(**values):
    return lambda pixels, noise: pixels.attributes.update(values)


def basic(table):
    """Return a damage of the Basic Offset Table; `table` makes it of the right one."""

    def damage(pixels, noise):
        pixels.basic = table(pixels.offsets)

    return damage


def extended(table, lengths=lambda right: right):
    """Return a damage of the Extended Offset Table."""

    def damage(pixels, noise):
        pixels.extended = table(pixels.offsets)
        pixels.lengths = lengths([len(frame[0]) for frame in pixels.frames])

    return damage


def fragments(change):
    def damage(pixels, noise):
        pixels.frames = [change(frame) for frame in pixels.frames]

    return damage


FAILS = {
    "cut in the middle": each_frame(lambda data, _: data[: len(data) // 2]),
    "cut near the end": each_frame(lambda data, _: data[: -len(data) // 8]),
    "cut to a few bytes": each_frame(lambda data, _: data[:6]),
    "zeros": each_frame(lambda data, _: bytes(len(data) + 500)),
    "text": each_frame(lambda data, _: b"GET / HTTP/1.1\r\n\r\n" * 400),
    "more rows than the codestream": attributes(Rows=ROWS + 8),
    "fewer columns than the codestream": attributes(Columns=COLUMNS - 8),
    "65535 x 65535": attributes(Rows=65535, Columns=65535),
    "no rows": attributes(Rows=0),
    "three samples": attributes(SamplesPerPixel=3),
    "1 bit": attributes(BitsAllocated=1, BitsStored=1),
    "more bits stored than allocated": attributes(BitsStored=17),
    "more frames than there are": attributes(NumberOfFrames=FRAMES + 1),
    "2147483647 frames": attributes(NumberOfFrames=2147483647),
    "fewer frames than there are": attributes(NumberOfFrames=FRAMES - 1),
    "only empty fragments": fragments(lambda frame: [b""]),
    "no fragments": fragments(lambda frame: []),
    "100,000 empty fragments at the end": lambda pixels, _: pixels.frames.append([b""] * 100_000),
    "100,000 empty fragments first": lambda pixels, _: pixels.frames.insert(0, [b""] * 100_000),
}
"""What cannot be sent to those who want it decoded."""

RIGHT_OR_FAILS = {
    "empty fragments": fragments(lambda frame: [b"", *frame, b"", b""]),
    "fragments of two bytes": fragments(
        lambda frame: [frame[0][n : n + 2] for n in range(0, len(frame[0]), 2)]
    ),
    "offsets beyond the end": basic(lambda right: [offset + (1 << 30) for offset in right]),
    "last offset beyond the end": basic(lambda right: [*right[:-1], 0xFFFFFFFE]),
    "offsets that do not ascend": basic(lambda right: right[::-1]),
    "offsets that are all the same": basic(lambda right: [0] * len(right)),
    "offsets into fragments": basic(lambda right: [0, *(offset + 4 for offset in right[1:])]),
    "an offset too many": basic(lambda right: [*right, right[-1] + 100]),
    "an offset too few": basic(lambda right: right[:-1]),
    "too many offsets": basic(lambda right: list(range(100_000))),
    "extended offsets beyond the end": extended(lambda right: [n + (1 << 62) for n in right]),
    "extended offsets that do not ascend": extended(lambda right: right[::-1]),
    "extended offsets into fragments": extended(lambda right: [0, *(n + 2 for n in right[1:])]),
    "an extended offset too many": extended(lambda right: [*right, right[-1] + 100]),
    "an extended offset too few": extended(lambda right: right[1:]),
    "extended lengths beyond the end": extended(lambda right: right, lambda _: [1 << 62] * FRAMES),
    "extended lengths of nothing": extended(lambda right: right, lambda _: [0] * FRAMES),
    "too few extended lengths": extended(lambda right: right, lambda right: right[1:]),
}
"""What may be understood, but then as it was meant: no pixel from elsewhere."""

ANY = {
    "sides exchanged": attributes(Rows=COLUMNS, Columns=ROWS),
    **{f"bits flipped {n}": each_frame(flip) for n in range(4)},
    **{f"bits flipped early {n}": each_frame(flip_early) for n in range(4)},
    **{f"overwritten {n}": each_frame(overwrite) for n in range(4)},
}
"""What may have become another image, which nobody can tell from a good one."""

DAMAGES = {**FAILS, **RIGHT_OR_FAILS, **ANY}


def run_length(offsets):
    """Return a damage of an RLE header (PS3.5 G.5): number of segments, and their offsets."""
    return each_frame(
        lambda data, _: struct.pack("<16I", *offsets, *[0] * (16 - len(offsets))) + data[64:]
    )


RLE_HEADERS = {
    "segments beyond the end": run_length([2, 64, 1 << 30]),
    "segments at 4 GB": run_length([2, 64, 0xFFFFFFFF]),
    "segments in the header": run_length([2, 0, 8]),
    "segments that do not ascend": run_length([2, 100, 64]),
    "no segments": run_length([0]),
    "15 segments": run_length([15, *range(64, 79)]),
    "2**31 segments": run_length([1 << 31, 64, 100]),
    "one segment for two bytes": run_length([1, 64]),
}


@pytest.fixture
def pixel_studies(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "modules")
    import pixel_studies

    return pixel_studies


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    limits = {"workers": 2, "timeout": 20.0}
    tables = {"transcoding": {"limits": limits}, "archive": {"durability": "none"}}
    with node_thread(tmp_path_factory.mktemp("node"), tables) as node:
        yield node


def workers(node):
    return node.node.opened.node.transcoder.workers.pids


def warnings_of(caplog):
    """Return what was logged of each instance that was not sent."""
    found = {}
    for record in caplog.records:
        assert record.levelno < logging.ERROR, record.getMessage()
        uid, _, reason = record.getMessage().partition(" is not sent to ")
        if reason:
            found[uid] = reason
    return found


DISTINCT = {"50", "80", "90", "RLE", "1.98"}
"""A syntax of each family; the others are variants of them."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in DISTINCT else pytest.mark.long) for each in SYNTAXES],
)
async def test_each_is_sent_right_or_listed_as_failed(pixel_studies, node, caplog, name):
    syntax = SYNTAXES[name]
    study = pixel_studies.Study(node, syntax, list(SYNTAXES).index(name))
    first = study.add("good")
    for what, damage in DAMAGES.items():
        study.add(what, damage)
    if syntax == RLE:
        for what, damage in RLE_HEADERS.items():
            study.add(what, damage)
    last = study.add("good, after the others")
    await study.store(node)
    received, failed = await study.get(node)
    assert received.keys() | failed == study.names.keys()
    assert not received.keys() & failed
    assert {first, last} <= received.keys()
    right = study.pixels(received[first])
    if not syntax.endswith(".50"):
        assert right == b"".join(study.native)
    for uid, what in study.names.items():
        if what in FAILS or what in RLE_HEADERS:
            assert uid in failed, what
        elif uid in received:
            assert study.pixels(received[uid]) == right or what in ANY, what
    logged = warnings_of(caplog)
    assert failed <= logged.keys()
    assert all("cannot convert" in logged[uid] for uid in failed)
    assert len(workers(node)) <= 2


ENDLESS = {
    "no delimiter": lambda data: data[:-8],
    "cut in a fragment": lambda data: data[: len(data) // 2],
    "a fragment longer than the dataset": lambda data: (
        data[:-8] + struct.pack("<HHI", 0xFFFE, 0xE000, 1 << 31)
    ),
    "a fragment of undefined length": lambda data: (
        data[:-8] + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + data[-8:]
    ),
    "no item": lambda data: data[:-8] + b"\xcc" * 64 + data[-8:],
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_pixel_data_without_an_end_are_stored_by_nobody(pixel_studies, node, name):
    """PS3.4 Table B.2-1, Cxxx: an object of which the end is missing is not a whole one."""
    study = pixel_studies.Study(node, RLE, 100)
    uid = study.add("good")
    damaged = ENDLESS[name](study.datasets[uid])
    async with connect(node.peer, [Proposal(CT, (RLE,))]) as association:
        response = await association.c_store(CT, uid, damaged)
        assert hex(response.status) == "0xc000"
        assert response.error_comment
        assert (await association.c_store(CT, uid, study.datasets[uid])).status == 0x0000


async def test_what_is_not_decoded_goes_on_as_it_is(pixel_studies, node):
    """Those who accept the transfer syntax get every byte, good or bad."""
    study = pixel_studies.Study(node, RLE, 101)
    for what, damage in DAMAGES.items():
        study.add(what, damage)
    await study.store(node)
    received, failed = await study.get(node, RLE)
    assert not failed
    assert received == study.datasets


async def test_a_million_empty_fragments_are_refused_at_their_limit(pixel_studies, node, caplog):
    study = pixel_studies.Study(node, SYNTAXES["80"], 102)
    good = study.add("good")
    endless = study.add("a million", lambda pixels, _: pixels.frames.insert(1, [b""] * 1_000_000))
    await study.store(node)
    received, failed = await study.get(node)
    assert (received.keys(), failed) == ({good}, {endless})
    assert "more than 65536 fragments" in warnings_of(caplog)[endless]


async def test_a_codestream_far_larger_than_its_pixels_is_refused(pixel_studies, node, caplog):
    study = pixel_studies.Study(node, RLE, 103)
    good = study.add("good")
    large = study.add("17 MB", each_frame(lambda data, _: data + bytes(17 << 20)))
    await study.store(node)
    received, failed = await study.get(node)
    assert (received.keys(), failed) == ({good}, {large})
    assert "bytes allowed" in warnings_of(caplog)[large]
