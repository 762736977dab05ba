"""Videos lose their sound, unless a profile keeps it, and do not tell the time of day.

ISO/IEC 14496-12 8.2, 13818-1 2.4.3.7; 13818-2 6.2.2.6, ITU-T H.264 D.2.3. The videos have a tone
beside four pictures, and clock times of 10:15:31: in the time code of MPEG-2, and in picture timing
messages behind delays (h264.clock.es), and without any (h264.bare_clock.es).
"""

import json
import random
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.video.editor import Fragments, video_editor
from pydicom import dcmread
from pydicom.encaps import generate_fragments
from pydicom.uid import UID

from .samples import make_instance
from .test_files import run, save
from .test_videos import FOLDER, SYNTAX

__all__ = ["run"]

SOUND = ("h264.sound.mp4", "mpeg2.sound.ts", "mpeg2.sound.ps")
CLOCKS = ("h264.clock.es", "h264.bare_clock.es", "mpeg2.sound.ts", "mpeg2.sound.ps")


def edit(data: bytes, name: str, cuts: list[int], *, keeps_sound: bool = False) -> bytes:
    """Return a video that comes in pieces."""
    fragments = Fragments(BytesIO(data), [(0, len(data))])
    editor = video_editor(SYNTAX[name.partition(".")[0]], fragments, keeps_sound=keeps_sound)
    made = b""
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        piece = bytearray(data[start:end])
        editor.edit(piece, 0, len(piece))
        made += piece
    assert editor.found
    assert editor.silenced is (name in SOUND and not keeps_sound)
    assert len(made) == len(data)
    return made


def frames(data: bytes, **kind: int) -> Iterator[Any]:
    """Iterate over what FFmpeg decodes."""
    av = pytest.importorskip("av", reason="PyAV, which brings FFmpeg, is not installed")
    with av.open(BytesIO(data)) as video:
        yield from video.decode(**kind)


@pytest.mark.parametrize("name", sorted({*SOUND, *CLOCKS}))
def test_it_is_the_same_wherever_a_video_is_cut(name: str) -> None:
    data, chance = (FOLDER / name).read_bytes(), random.Random(name)
    whole = edit(data, name, [])
    for count in (1, 4, 200, len(data) - 1):
        assert edit(data, name, sorted(chance.sample(range(1, len(data)), count))) == whole


@pytest.mark.parametrize("name", sorted({*SOUND, *CLOCKS}))
def test_pictures_are_the_same(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    given, made = (
        [frame.to_ndarray(format="rgb24").tobytes() for frame in frames(each, video=0)]
        for each in (data, edit(data, name, []))
    )
    assert made == given
    assert len(given) == 4


@pytest.mark.parametrize("name", CLOCKS)
def test_the_clock_is_not_told(name: str) -> None:
    def times(data: bytes) -> list[bytes]:
        found = [
            bytes(side) for frame in frames(data, video=0) for side in frame.side_data
            if side.type.name in {"S12M_TIMECODE", "GOP_TIMECODE"}
        ]  # fmt: skip
        # A time code of zero has its marker bit.
        return [time for time in found if int.from_bytes(time, "little") & ~(1 << 12)]

    data = (FOLDER / name).read_bytes()
    assert times(data)
    assert times(edit(data, name, [])) == []


def test_time_codes_of_h265_are_not_told() -> None:
    """A message of type 136 (H.265 D.2.27) in a unit of SEI before a picture (39)."""
    said = bytes([0x4E, 0x01, 136, 5, 0x61, 0x07, 0x5F, 0x3D, 0x50, 0x80])
    data = (FOLDER / "h265.es").read_bytes()
    made = edit(data + b"\0\0\1" + said, "h265.es", [len(data) + 6])
    assert made.endswith(said[:4] + b"\xff" * 5 + b"\x80")


def test_pictures_say_how_they_are_shown() -> None:
    """Delays and pic_struct of a message stay, its time is behind them (H.264 D.1.3)."""
    data = (FOLDER / "h264.bare_clock.es").read_bytes()
    at = data.index(b"\0\0\1\x06\x01") + 6
    made = edit(data, "h264.bare_clock.es", [])
    # pic_struct 0, a flag of a time, and then an extension
    assert (data[at] >> 3, made[at] >> 3) == (0b00001, 0b00000)
    assert set(made[at : at + 4]) <= {0x07, 0xFF, 0}


@pytest.mark.parametrize("name", SOUND)
def test_nothing_of_the_sound_is_left(name: str) -> None:
    """No packet of it can be found by FFmpeg, and none of its bytes are where they were."""
    data = (FOLDER / name).read_bytes()
    assert len(list(frames(data, audio=0))) > 3
    made = edit(data, name, [])
    av = pytest.importorskip("av")
    with av.open(BytesIO(made)) as video:
        assert [packet.stream.type for packet in video.demux() if packet.size] == ["video"] * 4
    kept = edit(data, name, [], keeps_sound=True)
    sounds = [
        [frame.to_ndarray().tobytes() for frame in frames(each, audio=0)] for each in (data, kept)
    ]
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize("name", SOUND)
def test_files_with_sound(run: Callable, tmp_path: Path, name: str) -> None:
    """Sound goes, and the report says so; a profile with keep_sound leaves it."""
    data = (FOLDER / name).read_bytes()
    dataset = make_instance(Modality="XC", SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4.1")
    pieces = (b"", data[:1200], data[1200:] + bytes(len(data) % 2))
    dataset.PixelData = b"".join(
        b"\xfe\xff\0\xe0" + struct.pack("<I", len(each)) + each for each in pieces
    )
    dataset["PixelData"].is_undefined_length = True
    save(tmp_path / "in" / "a.dcm", dataset, SYNTAX[name.partition(".")[0]])
    (tmp_path / "pacs.toml").write_text("[plugin.deidentify.profiles.heard]\nkeep_sound = true\n")
    for out, is_kept in (("out", False), ("heard", True)):
        profile = ("--config", "pacs.toml", "--profile", "heard") if is_kept else ()
        assert run("in", out, "--report", f"{out}.json", "--jobs", 1, *profile).code == 0
        (line,) = map(json.loads, (tmp_path / f"{out}.json").read_text().splitlines()[1:])
        assert (["(7FE0,0010) sound", "X"] in line["changes"]) is not is_kept
        (path,) = (tmp_path / out).rglob("*.dcm")
        made = b"".join(list(generate_fragments(dcmread(path).PixelData))[1:])
        assert made.startswith(edit(data, name, [], keeps_sound=is_kept))


@pytest.mark.parametrize("number", ["9.4.1", "9.4.2"])
def test_a_recording_of_a_voice_is_refused(run: Callable, tmp_path: Path, number: str) -> None:
    """Basic Voice Audio and General Audio Waveforms (PS3.3 A.34.2, A.34.10)."""
    uid = UID(f"1.2.840.10008.5.1.4.1.1.{number}")
    dataset = make_instance(Modality="AU", SOPClassUID=uid)
    del dataset.PixelData
    save(tmp_path / "in" / "a.dcm", dataset)
    result = run("in", "out", "--jobs", 1)
    assert (result.code, result.out) == (1, "0 instances de-identified, 1 refused\n")
    assert "keep_sound" in result.err
    (tmp_path / "pacs.toml").write_text("[plugin.deidentify.profiles.heard]\nkeep_sound = true\n")
    assert run("in", "out", "--jobs", 1, "--config", "pacs.toml", "--profile", "heard").code == 0


def test_packets_before_the_first_that_says_what_they_are() -> None:
    """Whatever a transport stream has of a PES packet whose beginning was cut off, is not told."""
    lost = b"\x47\x01\x33\x10" + b"Zzyzx^Quibble".ljust(184, b"\0")
    made = edit(lost + (FOLDER / "mpeg2.sound.ts").read_bytes(), "mpeg2.sound.ts", [90])
    assert b"Zzyzx" not in made


@pytest.mark.parametrize(("before", "after"), [(4, 0), (0, 16)])
def test_packets_with_something_between_them(before: int, after: int) -> None:
    """BDAV has a time stamp before each packet, and broadcasts parity behind it.

    Both have bytes among them that look like those with which a packet begins.
    """
    data = (FOLDER / "mpeg2.sound.ts").read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    stamps = (b"\x47\0\0\0", b"\0\x47\0\0")
    framed = b"".join(
        stamps[number % 2][:before] + each + stamps[number % 2] * (after // 4)
        for number, each in enumerate(packets)
    )
    made = edit(framed, "mpeg2.sound.ts", [3, 4, 191, 1000])
    period = before + 188 + after
    bare = b"".join(made[at + before : at + before + 188] for at in range(0, len(made), period))
    assert bare == edit(data, "mpeg2.sound.ts", [])
    others = [
        (framed[at : at + before], made[at : at + before]) for at in range(0, len(made), period)
    ]
    assert all(given == left for given, left in others)


def test_packets_after_what_is_left_of_one() -> None:
    data = (FOLDER / "mpeg2.sound.ts").read_bytes()
    assert edit(data[100:], "mpeg2.sound.ts", [])[88:] == edit(data, "mpeg2.sound.ts", [])[188:]


def test_a_stream_of_packets_without_packs_has_no_sound() -> None:
    """PES packets alone, as some recorders write them (ISO/IEC 13818-1 2.5.1)."""
    data = (FOLDER / "mpeg2.sound.ps").read_bytes()
    start = data.index(b"\0\0\1\xc0")
    made = edit(data[start:], "mpeg2.sound.ps", [])
    assert made.startswith(b"\0\0\1\xbe")
    assert made == edit(data, "mpeg2.sound.ps", [])[start:]


_OTHERS = [
    start + b"\0" * 2000 for start in (b"RIFF\0\0\0\0AVI ", b"\x1aE\xdf\xa3", b"0&\xb2u", b"OggS")
]


@pytest.mark.parametrize("data", [*_OTHERS, b"\0" * 2000, b"", b"\0\0", b"\0\0\1"])
def test_what_cannot_be_looked_into_is_refused(data: bytes) -> None:
    """AVI, Matroska, ASF, Ogg: none that DICOM has, and each may have sound (PS3.5 §8.2.5)."""
    with pytest.raises(DeidentificationError, match="cannot be looked into"):
        video_editor(SYNTAX["h264"], Fragments(BytesIO(data), [(0, len(data))]))


def test_where_media_are_is_not_told() -> None:
    """A data reference may name a file, or a volume (ISO/IEC 14496-12 8.7.2)."""
    data = (FOLDER / "h264.mp4").read_bytes()
    entry = b"\0\0\0\x0curl \0\0\0\1"
    named = b"\0\0\0\x0calis" + b"Ruiz"
    assert entry in data
    # As long as before, and its flags say that it is elsewhere.
    made = data.replace(entry, named)
    assert b"alisRuiz" in made
    fragments = Fragments(BytesIO(made), [(0, len(made))])
    piece = bytearray(made)
    video_editor(SYNTAX["h264"], fragments).edit(piece, 0, len(piece))
    assert b"alis" in piece
