"""Multipart bodies: whatever is written comes back, however it is cut."""

from collections.abc import AsyncIterator, Iterable
from itertools import chain

import anyio
import pytest
from hypothesis import example, given, strategies as st
from pacs_dicomweb.multipart import (
    Event,
    MalformedMultipart,
    PartBegin,
    PartData,
    PartEnd,
    Splitter,
    SplitterLimits,
    find_only_part,
    split,
)
from pacs_web.api.multipart_writing import OutgoingPart, multipart_length, write_multipart

BOUNDARIES = st.text("abcXYZ019'()+_,-./:=? ", min_size=1, max_size=70).filter(
    lambda text: not text.endswith((" ", "-"))
)
# Content full of what looks like delimiters.
CONTENTS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"--", b"-", b"\r\n--", b"x", b"\0", b" ", b"\n--ab"]),
    max_size=12,
).map(b"".join)


Parts = list[tuple[dict[str, str], bytes]]


def found_in(events: Iterable[Event]) -> list[tuple[dict[str, str], bytes]]:
    parts: list[tuple[dict[str, str], bytes]] = []
    is_open = False
    for event in events:
        if isinstance(event, PartBegin):
            assert not is_open
            parts.append((dict(event.headers), b""))
            is_open = True
        elif isinstance(event, PartData):
            assert is_open
            assert event.data
            parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
        else:
            assert isinstance(event, PartEnd)
            is_open = False
    assert not is_open
    return parts


def read(
    body: bytes, boundary: str, sizes: Iterable[int] = ()
) -> list[tuple[dict[str, str], bytes]]:
    splitter = Splitter(boundary)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(body[at : at + size])
        at += size
    chunks.append(body[at:])
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    splitter.finish()
    return found_in(events)


def body_of(
    parts: list[tuple[list[bytes], bytes]], boundary: str, end: bytes, padding: bytes
) -> bytes:
    delimiter = b"--" + boundary.encode()
    lines = [
        delimiter + padding + end + b"".join(h + end for h in headers) + end + content
        for headers, content in parts
    ]
    return end.join([*lines, delimiter + b"--"])


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([b"A: b", b"Content-ID:<x>"]), unique=True), CONTENTS),
        min_size=1,
        max_size=4,
    ),
    BOUNDARIES,
    st.sampled_from([b"", b" ", b"\t  "]),
    st.sampled_from([b"", b"hello", b"line\r\n\r\nline"]),
    st.sampled_from([b"", b"\r\n", b"\r\nthat was it"]),
    st.lists(st.integers(0, 40), max_size=60),
)
@example([([], b"")], "a", b"", b"", b"", [1] * 60)
@example([([b"A: b"], b"\r\n--ab")], "a", b" ", b"x", b"\r\n", [1] * 60)
def test_round_trip(parts, boundary, padding, preamble, epilogue, sizes):
    delimiter = b"\n--" + boundary.encode()
    if any(delimiter in b"\n" + content for _, content in parts):
        return
    body = body_of(parts, boundary, b"\r\n", padding)
    body = (preamble + b"\r\n" if preamble else b"") + body + epilogue
    expected = [
        ({h.split(b":")[0].decode().lower(): h.split(b":")[1].strip().decode() for h in hs}, c)
        for hs, c in parts
    ]
    assert read(body, boundary, sizes) == expected
    only = find_only_part(body, Splitter(boundary))
    if len(expected) > 1:
        assert only is None
    else:
        assert only is not None
        assert [(dict(only[0]), b"".join(only[1]))] == expected


@pytest.mark.parametrize(
    "body", [b"", b"--a", b"--a\r\n\r\nx", b"--a\r\nno header\r\n\r\nx\r\n--a--"]
)
def test_what_has_no_only_part(body):
    assert find_only_part(body, Splitter("a")) is None


@given(st.lists(CONTENTS, min_size=1, max_size=4), st.lists(st.integers(1, 9), max_size=60))
def test_lines_may_end_in_lf(contents, sizes):
    # Without a carriage return in the end: that would be the delimiter's.
    parts = [([b"A: b"], content.rstrip(b"\r")) for content in contents]
    body = body_of(parts, "QQ", b"\n", b"")
    assert [content for _, content in read(body, "QQ", sizes)] == [c for _, c in parts]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_whatever_comes_is_content_or_an_error(garbage, size):
    splitter = Splitter("b")
    try:
        for at in range(0, len(garbage), size):
            list(splitter.feed(garbage[at : at + size]))
        splitter.finish()
    except MalformedMultipart:
        pass


def test_a_longer_boundary_is_content():
    body = b"--a\r\n\r\n1\r\n--ab\r\n2\r\n--a-\r\n3\r\n--a--"
    assert read(body, "a") == [({}, b"1\r\n--ab\r\n2\r\n--a-\r\n3")]


def test_folded_headers_and_headers_given_twice():
    body = b"--a\r\nContent-Type: x;\r\n  y=1\r\ncontent-type: z\r\n\r\n--a--"
    assert read(body, "a") == [({"content-type": "x; y=1"}, b"")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no delimiter"),
        (b"no part at all", "no delimiter"),
        (b"--a\r\nA: b\r\n", "ends before"),
        (b"--a\r\n\r\ncontent", "ends before"),
        (b"--a\r\n\r\ncontent\r\n--a\r\n", "ends before"),
        (b"--a\r\nno colon\r\n\r\n\r\n--a--", "header without a name"),
        (b"--a\r\n: value\r\n\r\n\r\n--a--", "header without a name"),
        (b"--a\r\n--a--\r\n\r\n", "header without a name"),
    ],
)
def test_malformed(body, message):
    with pytest.raises(MalformedMultipart, match=message):
        read(body, "a")


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ü", "a\0b", "a\r\nb"])
def test_no_boundary(boundary):
    with pytest.raises(MalformedMultipart, match="boundary"):
        Splitter(boundary)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x" * 1000, "does not begin"),
        (b"--a\r\n" + b"A: b\r\n" * 200, "longer than"),
        (b"--a\r\n\r\n\r\n" * 8, "more than 5 parts"),
    ],
)
def test_limits(body, message):
    limits = SplitterLimits(preamble=100, headers=100, padding=10, parts=5)
    for size in (1, 7, 10_000):
        splitter = Splitter("a", limits)
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        with pytest.raises(MalformedMultipart, match=message):
            list(chain.from_iterable(map(splitter.feed, chunks)))


def test_content_is_handed_on_at_once():
    """Whatever a part's length, no more is held than a delimiter."""
    splitter = Splitter("boundary")
    list(splitter.feed(b"--boundary\r\n\r\n"))
    given_bytes = 0
    for _ in range(100):
        given_bytes += sum(len(event.data) for event in splitter.feed(bytes(1000)))
    assert given_bytes >= 100_000 - len("\r\n--boundary")


async def _chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def _read_all(body: bytes, size: int, *, skipped: bool) -> list[bytes]:
    return [
        b"" if skipped else b"".join([each async for each in part])
        async for part in split(_chunks(body, size), Splitter("a"))
    ]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_split(size):
    body = b"--a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--"
    assert anyio.run(lambda: _read_all(body, size, skipped=False)) == [b"one", b"two"]
    assert anyio.run(lambda: _read_all(body, size, skipped=True)) == [b"", b""]


@pytest.mark.parametrize("size", [1, 1000])
def test_split_what_ends_too_soon(size):
    with pytest.raises(MalformedMultipart, match="ends before"):
        anyio.run(lambda: _read_all(b"--a\r\n\r\none\r\n--a\r\n\r\ntw", size, skipped=False))


def test_write():
    async def content() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"

    async def parts() -> AsyncIterator[OutgoingPart]:
        yield OutgoingPart("application/dicom", content(), location="/x", length=2)
        yield OutgoingPart("text/plain", b"")

    async def written() -> bytes:
        return b"".join([chunk async for chunk in write_multipart(parts(), "a")])

    assert read(anyio.run(written), "a") == [
        (
            {
                "content-type": "application/dicom",
                "content-location": "/x",
                "content-length": "2",
            },
            b"12",
        ),
        ({"content-type": "text/plain", "content-length": "0"}, b""),
    ]


@given(st.lists(st.integers(0, 200_000), max_size=4), st.booleans())
def test_how_long_a_body_will_be_is_known_if_all_parts_say_it_of_theirs(lengths, is_streamed):
    async def streamed(length: int) -> AsyncIterator[bytes]:
        yield bytes(length // 2)
        yield bytes(length - length // 2)

    def part(length: int) -> OutgoingPart:
        content = streamed(length) if is_streamed else bytes(length)
        return OutgoingPart("a/b", content, "/x", length)

    async def written() -> int:
        async def each() -> AsyncIterator[OutgoingPart]:
            for length in lengths:
                yield part(length)

        return sum([len(chunk) async for chunk in write_multipart(each(), "ab")])

    made = [part(length) for length in lengths]
    assert multipart_length(made, "ab") == anyio.run(written)
    assert multipart_length([*made, OutgoingPart("a/b", streamed(1))], "ab") is None
