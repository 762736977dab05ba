"""User data of MPEG-2, and SEI of H.264 and H.265, say nothing, and each picture stays.

ISO/IEC 13818-2 6.2.2.2.2, ITU-T H.264 Annex D, H.265 Annex D. The videos have "Zzyzx^Quibble" in
user data, in registered and unregistered messages, in more than one of a NAL unit, with escapes,
and in what their containers say: titles, names of services, SEI in the configuration of a decoder.
"""

import hashlib
import json
import random
import re
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.video.editor import Fragments, video_editor
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_fragments

from .samples import make_instance
from .test_files import run, save

__all__ = ["run"]

FOLDER = Path(__file__).with_name("videos")
SYNTAX = {
    "h264": "1.2.840.10008.1.2.4.102", "h265": "1.2.840.10008.1.2.4.107",
    "mpeg2": "1.2.840.10008.1.2.4.100",
}  # fmt: skip
SECRETS = (b"Zzyzx", b"Quibble", b"born", b"1961", "Quib".encode("utf-16-le"), b"x264 - ", b"x265")
MADE = {
    "h264.es": "10f3c59bed01231a",
    "h264.mp4": "0eebc59d9134c761",
    "h264.ts": "5a0acc9008033cb9",
    "h265.es": "cb83f11a4c47bca2",
    "h265.mp4": "c25470519253b86b",
    "h265.ts": "c72999b1d318f90b",
    "mpeg2.es": "80b9b426d0b26151",
    "mpeg2.ps": "c869f34c6920f47c",
    "mpeg2.ts": "cc7936175a306c74",
}
"""Beginnings of the SHA-256 of what is made: FFmpeg decodes each to the pictures of its source."""


def edit(data: bytes, name: str, cuts: list[int]) -> bytes:
    """Return a video that comes in pieces."""
    editor = video_editor(
        SYNTAX[name.partition(".")[0]], Fragments(BytesIO(data), [(0, len(data))])
    )
    made = b""
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        piece = bytearray(data[start:end])
        editor.edit(piece, 0, len(piece))
        made += piece
    assert editor.found
    return made


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_said_wherever_a_video_is_cut(name: str) -> None:
    data, chance = (FOLDER / name).read_bytes(), random.Random(name)
    assert SECRETS[0] in data
    for count in (0, 1, 4, 200, len(data) - 1):
        made = edit(data, name, sorted(chance.sample(range(1, len(data)), count)))
        assert [secret for secret in SECRETS if secret in made] == []
        assert len(made) == len(data)
        assert hashlib.sha256(made).hexdigest().startswith(MADE[name])


@pytest.mark.parametrize("name", MADE)
def test_pictures_are_the_same(name: str, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV, which brings FFmpeg, is not installed")
    data = (FOLDER / name).read_bytes()
    (tmp_path / name).write_bytes(edit(data, name, []))
    given, made = (
        [frame.to_ndarray(format="rgb24").tobytes() for frame in av.open(path).decode(video=0)]
        for path in (FOLDER / name, tmp_path / name)
    )
    assert made == given
    assert len(given) == 4


def units(data: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in re.finditer(b"\0\0\1", data)]
    return (data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True))


@pytest.mark.parametrize(
    ("name", "is_said"),
    [
        ("h264.es", lambda unit: unit[3] & 0x1F == 6),
        ("h265.es", lambda unit: unit[3] >> 1 & 0x3F in {39, 40}),
        ("mpeg2.es", lambda unit: unit[3] == 0xB2),
    ],
)
def test_all_else_stays(name: str, is_said: Callable[[bytes], bool]) -> None:
    data = (FOLDER / name).read_bytes()
    pairs = list(zip(units(data), units(edit(data, name, [])), strict=True))
    assert [given for given, made in pairs if given != made] == [
        given for given, _ in pairs if is_said(given)
    ]
    # Other messages stay: recovery point (6) of H.264, alternative transfer (147) of H.265.
    kept = {"h264.es": b"\x06\x01\x84", "h265.es": b"\x93\x01\x01", "mpeg2.es": b""}[name]
    assert all(kept in made for given, made in pairs if kept and kept in given)


@pytest.mark.parametrize("name", ["h264.mp4", "h265.mp4", "h264.ts", "mpeg2.ps", "mpeg2.es"])
def test_files_with_videos(run: Callable, tmp_path: Path, name: str) -> None:
    """A video in fragments that end anywhere; its report says that something was overwritten."""
    data = (FOLDER / name).read_bytes()
    pieces = [data[:778], data[778:1000], data[1000:]]
    dataset = make_instance(Modality="XC", SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4.1")
    items = [b"\xfe\xff\0\xe0" + struct.pack("<I", len(each)) + each for each in (b"", *pieces)]
    dataset.PixelData = b"".join(items)
    dataset["PixelData"].is_undefined_length = True
    save(tmp_path / "in" / "a.dcm", dataset, SYNTAX[name.partition(".")[0]])
    assert run("in", "out", "--report", "r", "--jobs", 1).code == 0
    (path,) = (tmp_path / "out").rglob("*.dcm")
    made = b"".join(list(generate_fragments(dcmread(path).PixelData))[1:])
    assert hashlib.sha256(made).hexdigest().startswith(MADE[name])
    (line,) = map(json.loads, (tmp_path / "r").read_text().splitlines()[1:])
    assert ["(7FE0,0010) user data", "C"] in line["changes"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data.replace(b"moov", b"free"), "no index"),
        (lambda data: data.replace(b"moov", b"moof"), "movie fragments"),
        (lambda data: data.replace(b"stsz", b"stsy"), "no table of sizes"),
        (lambda data: data.replace(b"stco\0\0\0\0\0\0", b"stco\0\0\0\0\xff\xff"), "damaged"),
        (lambda data: data[:-40], "ends in the middle"),
    ],
)
def test_a_file_that_cannot_be_looked_into_is_refused(
    run: Callable, tmp_path: Path, change: Callable[[bytes], bytes], why: str
) -> None:
    data = change((FOLDER / "h264.mp4").read_bytes())
    dataset = make_instance(PixelData=encapsulate([data + bytes(len(data) % 2)]))
    dataset["PixelData"].is_undefined_length = True
    save(tmp_path / "in" / "a.dcm", dataset, SYNTAX["h264"])
    result = run("in", "out", "--jobs", 1)
    assert (result.code, result.out) == (1, "0 instances de-identified, 1 refused\n")
    assert why in result.err
    assert not list((tmp_path / "out").rglob("*.dcm"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_hostile_videos_do_no_harm(data) -> None:
    """Whatever is wrong with a video, it keeps its length, or is refused."""
    name = data.draw(st.sampled_from(sorted(path.name for path in FOLDER.iterdir())))
    video = bytearray((FOLDER / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(video) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        video[at : at + len(piece)] = piece
    del video[data.draw(st.integers(1, len(video))) :]
    cuts = data.draw(st.lists(st.integers(1, len(video)), max_size=5, unique=True))
    try:
        editor = video_editor(
            SYNTAX[name.partition(".")[0]], Fragments(BytesIO(bytes(video)), [(0, len(video))])
        )
    except DeidentificationError:
        return
    before, ends = len(video), [*sorted(cuts), len(video)]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        piece = video[start:end]
        editor.edit(piece, 0, len(piece))
        assert len(piece) == end - start
    assert len(video) == before


def test_tables_and_padding_of_a_transport_stream() -> None:
    """Null packets and service information (PID 10 to 1F) have what anybody puts there."""
    null = b"\x47\x1f\xff\x10" + b"Zzyzx^Quibble".ljust(184, b"\0")
    data = null + (FOLDER / "h264.ts").read_bytes() + null
    assert b"Zzyzx" not in edit(data, "h264.ts", [100, 101, 102])
