"""JPEG XL JPEG Recompression (PS3.5 §8.2.15): decoded, and made of JPEGs, which come back."""

import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pydicom.data
import pytest
from attrs import evolve
from imagecodecs import jpeg8_encode, jpegxl_decode_jpeg, jpegxl_encode, jpegxl_encode_jpeg
from pydicom import dcmread
from pydicom.encaps import generate_frames

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.testing.codec_contract import format_of, frame_format

ROOT = "1.2.840.10008.1.2.4."
JPEG, JPEG_XL = ROOT + "50", ROOT + "111"
COLOUR = frame_format(40, 48, colour=True)
FOLDER = Path(pydicom.data.__file__).with_name("test_files")


@pytest.fixture
def jpeg(codec_of, smooth):
    return codec_of("50").encode(smooth(COLOUR).tobytes(), COLOUR, EncodeOptions())


def test_a_recompressed_jpeg_is_decoded_as_the_jpeg_that_it_was(codec_of, jpeg) -> None:
    original = jpeg.data.removesuffix(b"\0")
    recompressed = jpegxl_encode_jpeg(original)
    assert len(recompressed) < len(original)
    assert jpegxl_decode_jpeg(recompressed) == original
    decoded = codec_of("111").decode(recompressed, jpeg.format)
    assert decoded == codec_of("50").decode(jpeg.data, jpeg.format)
    assert decoded == codec_of("111").decode(recompressed + b"\0", jpeg.format)


def test_a_native_frame_cannot_be_recompressed(codec_of) -> None:
    with pytest.raises(CodecError, match="only a JPEG"):
        codec_of("111").encode(bytes(COLOUR.size), COLOUR, EncodeOptions())


def test_without_its_jpeg_a_recompressed_image_is_decoded_all_the_same(
    codec_of, smooth, array_of
) -> None:
    frame = frame_format(40, 48)
    pixels = smooth(frame)
    decoded = codec_of("111").decode(bytes(jpegxl_encode(pixels, lossless=True)), frame)
    assert (array_of(decoded) == pixels).all()


def test_a_recompressed_jpeg_of_another_size_is_refused(codec_of, jpeg) -> None:
    with pytest.raises(CodecError, match="40 x 48"):
        codec_of("111").decode(jpegxl_encode_jpeg(jpeg.data), frame_format(48, 40, colour=True))


def test_a_damaged_recompressed_jpeg_is_refused(codec_of, jpeg) -> None:
    recompressed = jpegxl_encode_jpeg(jpeg.data)
    for length in range(0, len(recompressed), 7):
        with pytest.raises(CodecError):
            codec_of("111").decode(recompressed[:length], jpeg.format)


def read(path):
    """Return the codestreams of a file in JPEG Baseline, and the format of their frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True)
        if getattr(dataset.get("file_meta"), "TransferSyntaxUID", "") != JPEG:
            return [], None
    count = int(dataset.get("NumberOfFrames", 1))
    return list(generate_frames(dataset.PixelData, number_of_frames=count)), format_of(dataset)


def check_round_trip(codec, codestream, form):
    """Recompress it and back; return the format that the dataset must say in between."""
    recompressed = codec.recompress(codestream, form, JPEG_XL)
    restored = codec.recompress(recompressed.data, recompressed.format, JPEG)
    padded = codec.recompress(recompressed.data + b"\0", recompressed.format, JPEG)
    assert restored.data == padded.data == codestream
    assert restored.format == recompressed.format
    decoded = codec.decode(recompressed.data, recompressed.format)
    return recompressed.format, decoded


def test_the_descriptor_says_what_is_recompressed(descriptor_of) -> None:
    assert descriptor_of("111").recompresses == {(JPEG, JPEG_XL), (JPEG_XL, JPEG)}
    assert not descriptor_of("50").recompresses


def test_every_file_of_pydicom_comes_back_byte_for_byte(codec_of) -> None:
    files = 0
    for path in sorted(FOLDER.rglob("*.dcm")):
        codestreams, form = read(path)
        for codestream in codestreams:
            described, decoded = check_round_trip(codec_of("111"), codestream, form)
            # Table 8.2.1-1 has no YBR_FULL: all YCbCr of lossy JPEG is called YBR_FULL_422.
            name = form.photometric_interpretation.replace("YBR_FULL_422", "YBR_FULL")
            name = name.replace("YBR_FULL", "YBR_FULL_422")
            assert described == evolve(form, photometric_interpretation=name)
            assert decoded.data == codec_of("50").decode(codestream, form).data
        files += bool(codestreams)
    assert files > 10


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("examples_rgb_color.dcm", ["+eb", "+cy", "+s4"]),
        ("examples_rgb_color.dcm", ["+eb", "+cy", "+n2", "+q", "50"]),
        ("SC_rgb_small_odd.dcm", ["+eb", "+cr"]),
        ("CT_small.dcm", ["+eb"]),
        ("MR_small.dcm", ["+eb", "+Wm"]),
    ],
)
def test_what_dcmtk_encodes_comes_back(codec_of, tmp_path, name, options) -> None:
    program = shutil.which("dcmcjpeg", path="/usr/local/bin:/usr/bin:/opt/homebrew/bin")
    source = FOLDER / name
    if program is None:
        pytest.skip("dcmcjpeg is not installed")
    out = tmp_path / "out.dcm"
    environment = {**os.environ, "TCP_NODELAY": "1"}
    subprocess.run([program, *options, source, out], check=True, env=environment, timeout=30)
    codestreams, form = read(out)
    assert codestreams
    for codestream in codestreams:
        check_round_trip(codec_of("111"), codestream, form)


def test_it_is_smaller_and_always_the_same(codec_of, jpeg) -> None:
    first, second = (
        codec_of("111").recompress(jpeg.data, jpeg.format, JPEG_XL).data for _ in range(2)
    )
    assert first == second
    assert len(first) < len(jpeg.data)


def test_another_transfer_syntax_is_refused(codec_of, jpeg) -> None:
    with pytest.raises(CodecError, match=r"does not recompress to 1\.2\.840"):
        codec_of("111").recompress(jpeg.data, jpeg.format, ROOT + "112")
    with pytest.raises(CodecError, match="does not recompress"):
        codec_of("50").recompress(jpeg.data, jpeg.format, JPEG_XL)


def test_each_way_takes_only_its_own_codestreams(codec_of, jpeg) -> None:
    codec = codec_of("111")
    recompressed = codec.recompress(jpeg.data, jpeg.format, JPEG_XL)
    with pytest.raises(CodecError, match="no JPEG codestream"):
        codec.recompress(recompressed.data, jpeg.format, JPEG_XL)
    with pytest.raises(CodecError, match="FF0A"):
        codec.recompress(jpeg.data, jpeg.format, JPEG)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 48, "columns": 40},
        {"samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2"},
        {"bits_allocated": 16},
        {"is_signed": True},
        {"photometric_interpretation": "PALETTE COLOR"},
    ],
)
def test_what_the_dataset_does_not_say_is_refused_both_ways(codec_of, jpeg, changes) -> None:
    codec, wrong = codec_of("111"), evolve(jpeg.format, **changes)
    recompressed = codec.recompress(jpeg.data, jpeg.format, JPEG_XL)
    for codestream, target in ((jpeg.data, JPEG_XL), (recompressed.data, JPEG)):
        with pytest.raises(CodecError):
            codec.recompress(codestream, wrong, target)


def test_only_baseline_jpegs_are_recompressed(codec_of, smooth) -> None:
    grey = frame_format(40, 48)
    baseline = bytes(jpeg8_encode(smooth(grey), 90))
    assert codec_of("111").recompress(baseline, grey, JPEG_XL).data
    others = {
        "FFC1": baseline.replace(b"\xff\xc0", b"\xff\xc1", 1),
        "FFC3": bytes(jpeg8_encode(smooth(grey), lossless=True)),
    }
    for marker, codestream in others.items():
        with pytest.raises(CodecError, match=marker):
            codec_of("111").recompress(codestream, grey, JPEG_XL)
    with pytest.raises(CodecError, match="FFC1"):
        codec_of("111").recompress(bytes(jpegxl_encode_jpeg(others["FFC1"])), grey, JPEG)


def test_without_its_jpeg_an_image_cannot_become_one(codec_of, smooth) -> None:
    for frame in (frame_format(40, 48), COLOUR):
        codestream = bytes(jpegxl_encode(smooth(frame), lossless=True))
        with pytest.raises(CodecError, match=r"jbrd.*can only be decoded"):
            codec_of("111").recompress(codestream, frame, JPEG)


def test_damage_is_refused_or_comes_back_as_it_is(codec_of, jpeg) -> None:
    codec = codec_of("111")
    recompressed = codec.recompress(jpeg.data, jpeg.format, JPEG_XL).data
    for target, good in ((JPEG_XL, jpeg.data), (JPEG, recompressed)):
        for length in range(0, len(good) - 1, 11):
            with pytest.raises(CodecError):
                codec.recompress(good[:length], jpeg.format, target)
    kept = 0
    for at in range(0, len(jpeg.data), 5):
        damaged = jpeg.data[:at] + bytes([jpeg.data[at] ^ 0x10]) + jpeg.data[at + 1 :]
        try:
            check_round_trip(codec, damaged, jpeg.format)
        except CodecError:
            continue
        kept += 1
    assert 0 < kept < len(jpeg.data) / 5
