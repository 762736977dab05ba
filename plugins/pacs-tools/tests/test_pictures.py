"""Pictures and videos made into instances, and back; beside DCMTK's img2dcm."""

import shutil
import struct
import subprocess
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pacs_tools.pictures.h264 import read_sequence, transfer_syntax_of
from PIL import Image, ImageCms
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from pacs_core.api.commands import main
from pacs_core.api.file_commands import CommandError

CT = Path(get_testdata_file("CT_small.dcm"))
RANDOM = np.random.default_rng(7)
SPS = bytes.fromhex("67640028acd940780227e5c044000003000400000300c83c60c658")
"""1920 x 1080, High Profile, level 4.0, as x264 writes it."""


def samples(*shape, dtype=np.uint8):
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def jpeg(array, **options):
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


PICTURES = {
    "rgb.png": samples(15, 13, 3),
    "grey.bmp": samples(15, 13),
    "grey16.png": samples(9, 7, dtype=np.uint16),
    "rgb.tif": samples(8, 6, 3),
    "grey16.tif": samples(9, 7, dtype=np.uint16),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", ["sc", "photo"])
def test_a_picture_keeps_every_sample(run, tmp_path, name, kind):
    array = PICTURES[name]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = {"icc_profile": profile} if name == "rgb.png" else {}
    Image.fromarray(array).save(tmp_path / name, **options)
    made = tmp_path / "a.dcm"
    options = ["--kind", kind, "--like", CT, "-s", "SeriesNumber=7", "-s", "PatientSex=O"]
    if "16" in name and kind == "photo":
        code, _, err = run("from-image", tmp_path / name, made, *options)
        assert (code, "and Visible Light 8" in err) == (1, True)
        return
    assert run("from-image", tmp_path / name, made, *options)[0::2] == (0, "")
    dataset = dcmread(made)
    assert (dataset.pixel_array == array).all()
    assert (dataset.PatientName, dataset.SeriesNumber) == (dcmread(CT).PatientName, 7)
    assert dataset.LossyImageCompression == "00"
    assert ("ICCProfile" in dataset) == (name == "rgb.png")
    code, out, _ = run("validate", made)
    assert (code, out) == (0, f"{made}: 0 errors, 0 warnings\n")
    if shutil.which("dciodvfy"):
        done = subprocess.run(["dciodvfy", made], capture_output=True, text=True)
        assert "Error" not in done.stderr
    assert run("from-image", tmp_path / name, made)[0] == 2  # nothing is replaced


@pytest.mark.parametrize("grey", [True, False])
def test_pages_become_frames(run, tmp_path, grey):
    array = samples(3, 6, 5) if grey else samples(3, 6, 5, 3)
    first, *others = map(Image.fromarray, array)
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    assert run("from-image", tmp_path / "a.tif", tmp_path / "a.dcm")[0] == 0
    dataset = dcmread(tmp_path / "a.dcm")
    assert (dataset.pixel_array == array).all()
    assert dataset.SOPClassUID.endswith(".7.2" if grey else ".7.4")
    assert list(dataset.PageNumberVector) == [1, 2, 3]
    assert run("validate", tmp_path / "a.dcm", "--strict")[0] == 0
    code, _, err = run("from-image", tmp_path / "a.tif", tmp_path / "b.dcm", "--kind", "photo")
    assert code == 1
    assert "it has 3 pages" in err


@pytest.mark.parametrize(
    ("array", "photometric"),
    [(samples(20, 30), "MONOCHROME2"), (samples(20, 30, 3), "YBR_FULL_422")],
)
def test_a_jpeg_is_not_compressed_again(run, tmp_path, array, photometric):
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe, 1 Main Street"
    data = jpeg(array, exif=exif, comment=b"a secret", quality=90)
    (tmp_path / "a.jpg").write_bytes(data)
    assert run("from-image", tmp_path / "a.jpg", tmp_path / "a.dcm", "--kind", "photo")[0] == 0
    dataset = dcmread(tmp_path / "a.dcm")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    assert dataset.PhotometricInterpretation == photometric
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert data[data.index(b"\xff\xda") :] in frame  # the scan is what it was
    assert b"Main Street" not in frame + data[:0]
    assert b"secret" not in frame
    decoded = [np.asarray(Image.open(BytesIO(each))) for each in (frame, data)]
    assert (decoded[0] == decoded[1]).all()
    assert run("validate", tmp_path / "a.dcm", "--strict")[0] == 0
    assert run("to-stream", tmp_path / "a.dcm", tmp_path / "back.jpg")[0] == 0
    assert (tmp_path / "back.jpg").read_bytes().rstrip(b"\0") == frame.rstrip(b"\0")
    if shutil.which("img2dcm"):
        subprocess.run(["img2dcm", "-q", tmp_path / "a.jpg", tmp_path / "theirs.dcm"], check=True)
        theirs = dcmread(tmp_path / "theirs.dcm")
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsStored", "HighBit"):
            assert theirs[keyword].value == dataset[keyword].value
        other = next(generate_frames(theirs.PixelData, number_of_frames=1))
        assert data[data.index(b"\xff\xda") :] in other


def test_what_must_be_decoded_is_so_only_if_asked_for(run, tmp_path):
    array = samples(20, 30, 3)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, data in {
        "progressive": jpeg(array, progressive=True), "turned": jpeg(array, exif=turned),
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        code, _, err = run("from-image", tmp_path / name, tmp_path / "a.dcm")
        assert code == 1
        assert "say --decode" in err
        assert not (tmp_path / "a.dcm").exists()
        assert run("from-image", tmp_path / name, tmp_path / f"{name}.dcm", "--decode")[0] == 0
    assert (dcmread(tmp_path / "turned.dcm").Rows, dcmread(tmp_path / "turned.dcm").Columns) == (
        30,
        20,
    )
    assert dcmread(tmp_path / "progressive.dcm").LossyImageCompression == "01"


def _png(depth, kind, row):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, depth, kind, 0, 0, 0)
    parts = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


def _saved(image, form):
    buffer = BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


SMALL = jpeg(samples(9, 9, 3))
REFUSED = {
    "transparent in places": _saved(Image.new("RGBA", (2, 2), (1, 2, 3, 4)), "PNG"),
    "more than 8 bits": _png(16, 2, bytes(range(6))),
    "which DICOM has not": _saved(Image.new("CMYK", (4, 4)), "TIFF"),
    "DICOM has no CMYK": _saved(Image.new("CMYK", (4, 4)), "JPEG"),
    "no PNG, JPEG, TIFF, BMP": b"no picture",
    "it has no end": jpeg(samples(20, 30))[:-40],
    "is damaged": _saved(Image.new("RGB", (90, 90), (1, 2, 3)), "PNG")[:-40],
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_would_lose_something_is_refused_and_nothing_left(run, tmp_path, text):
    (tmp_path / "in").write_bytes(REFUSED[text])
    code, _, err = run("from-image", tmp_path / "in", tmp_path / "a.dcm")
    assert code == 1
    assert text in err
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def box(name, *content):
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + name + data


def movie(parameter_set=SPS, *, coding=b"avc1", frames=50, data=b"frames of a video"):
    avcc = (
        b"\x01\x64\0\x28\xff\xe1" + struct.pack(">H", len(parameter_set)) + parameter_set + b"\x01"
    )
    entry = box(coding, bytes(78), box(b"avcC", avcc))
    table = box(
        b"stbl",
        box(b"stsd", bytes(7), b"\x01", entry),
        box(b"stsz", struct.pack(">III", 0, 9, frames)),
    )
    media = box(
        b"mdia", box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, 1000, 40 * frames)),
        box(b"hdlr", bytes(8), b"vide", bytes(12)), box(b"minf", table),
    )  # fmt: skip
    sound = box(b"mdia", box(b"hdlr", bytes(8), b"soun"), box(b"mdhd", bytes(20)))
    moov = box(b"moov", box(b"trak", sound), box(b"trak", media))
    return box(b"ftyp", b"isom", bytes(4)) + moov + box(b"mdat", data)


def test_a_video_goes_there_and_back(run, tmp_path):
    data = movie()
    (tmp_path / "a.mp4").write_bytes(data)
    assert run("from-video", tmp_path / "a.mp4", tmp_path / "a.dcm", "--like", CT)[0::2] == (0, "")
    dataset = dcmread(tmp_path / "a.dcm")
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.102"
    assert (dataset.Rows, dataset.Columns, dataset.NumberOfFrames) == (1080, 1920, 50)
    assert (dataset.FrameTime, dataset.CineRate) == (40, 25)
    assert run("validate", tmp_path / "a.dcm", "--strict")[0] == 0
    assert run("to-stream", tmp_path / "a.dcm", tmp_path / "b.mp4")[0] == 0
    assert (tmp_path / "b.mp4").read_bytes() == data + bytes(len(data) % 2)
    if shutil.which("dcmdump"):
        subprocess.run(["dcmdump", "-q", tmp_path / "a.dcm"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (movie(coding=b"hvc1"), "its coding is hvc1"),
        (movie(SPS[:3] + b"\x33" + SPS[4:]), "none beyond level 4.2"),
        (movie(b"\x67\x6e" + SPS[2:]), "DICOM has High Profile"),
        (movie(SPS[:5]), "cut off"),
        (movie(b""), "no H.264 sequence parameter set"),
        (movie(frames=0), "it has 0 frames"),
        (movie()[:-5], "it is cut off"),
        (movie()[:40], "cut off"),
        (b"no video", "it is no MP4"),
    ],
)
def test_a_video_that_dicom_has_not_is_refused(run, tmp_path, data, text):
    (tmp_path / "in").write_bytes(data)
    code, _, err = run("from-video", tmp_path / "in", tmp_path / "a.dcm")
    assert code == 1
    assert text in err
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_sequence_parameter_sets_are_read_as_the_standard_says():
    sequence = read_sequence(SPS)
    assert (sequence.rows, sequence.columns, sequence.level) == (1080, 1920, 40)
    # Constrained Baseline, level 3.0, 320 x 240: what decoders of High Profile decode.
    small = read_sequence(bytes.fromhex("6742c01ed90141fb011000000300100000030320f162e480"))
    assert (small.rows, small.columns) == (240, 320)
    assert transfer_syntax_of(small) == "1.2.840.10008.1.2.4.102"
    assert transfer_syntax_of(small, fragmented=True) == "1.2.840.10008.1.2.4.102.1"


@given(st.binary(max_size=60))
def test_any_parameter_set_is_read_or_refused(data):
    with suppress(CommandError):
        assert read_sequence(b"\x67" + data).rows > 0


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_damaged_pictures_and_videos_never_fail_otherwise_than_by_a_message(tmp_path_factory, data):
    command, good = data.draw(st.sampled_from([("from-image", SMALL), ("from-video", movie())]))
    content = bytearray(good)
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "in").write_bytes(content)
    assert main([command, str(folder / "in"), str(folder / "out.dcm")]) in {0, 1}


def test_what_has_no_stream_is_refused(run, tmp_path):
    assert run("to-stream", CT, tmp_path / "a")[0] == 1
    compressed = CT.with_name("JPEG2000.dcm")
    assert run("to-stream", compressed, tmp_path / "a", "--frame", 2)[0] == 1
    assert not list(tmp_path.iterdir())
    assert run("to-stream", compressed, tmp_path / "a.j2k")[0] == 0
    assert (tmp_path / "a.j2k").read_bytes().startswith(b"\xff\x4f\xff\x51")


def test_a_jpeg_says_nothing_but_its_pixels(run, tmp_path):
    """Neither a thumbnail, nor a comment between scans, nor what follows the end is kept."""
    planes = [np.asarray(Image.radial_gradient("L").resize((40, 24)).rotate(a)) for a in (0, 9, 50)]
    Image.fromarray(np.dstack(planes)).save(buffer := BytesIO(), "JPEG", subsampling=0)
    data, secret = buffer.getvalue(), b"Zzyzx^Quibble"

    def segment(marker, content):
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    at = 2 + 2 + int.from_bytes(data[4:6], "big")
    thumbnail = segment(0xE0, data[6:18] + b"\1\4" + secret[:12])
    more = b"".join(segment(code, start + secret) for code, start in (
        (0xE0, b"JFXX\0\x10"), (0xE1, b"Exif\0\0"), (0xE8, b"SPIFF"), (0xEE, b"Other"), (0xFE, b""),
    ))  # fmt: skip
    # The second scan is that of nothing new: a comment before it has to be gone over.
    end = data.rindex(b"\xff\xd9")
    changed = (
        data[:2] + thumbnail + more + data[at:end] + segment(0xFE, secret) + data[end:] + secret
    )
    source, made = tmp_path / "a.jpg", tmp_path / "a.dcm"
    source.write_bytes(changed)
    assert run("from-image", source, made, "--like", CT)[0::2] == (0, "")
    assert secret[:12] not in made.read_bytes()
    (frame,) = generate_frames(dcmread(made).PixelData, number_of_frames=1)
    shown = [np.asarray(Image.open(BytesIO(each))) for each in (frame, data)]
    assert np.array_equal(*shown)
