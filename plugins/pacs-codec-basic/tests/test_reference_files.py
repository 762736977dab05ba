"""Files of others: every compressed one that pydicom ships."""

import warnings
from pathlib import Path

import pydicom
import pytest
from pacs_codec_basic import pacs_codecs
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder

from pacs_core.contracts import CodecError
from pacs_core.testing.codec_contract import format_of

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
CODECS = {uid: each for each in pacs_codecs() for uid in each.decodes}
NATIVE = {
    "MR_small_RLE": "MR_small",
    "MR_small_jp2klossless": "MR_small",
    "MR_small_jpeg_ls_lossless": "MR_small",
    "rtdose_rle": "rtdose",
    "rtdose_rle_1frame": "rtdose_1frame",
}
RLE = [
    "MR_small_RLE",
    "SC_rgb_rle",
    "SC_rgb_rle_16bit",
    "SC_rgb_rle_16bit_2frame",
    "SC_rgb_rle_2frame",
    "SC_rgb_rle_32bit",
    "SC_rgb_rle_32bit_2frame",
    "rtdose_rle",
]
LOSSY_JPEG = [
    "JPGExtended",
    "SC_jpeg_no_color_transform",
    "SC_jpeg_no_color_transform_2",
    "SC_rgb_dcmtk_+eb+cr",
    "SC_rgb_dcmtk_+eb+cy+n1",
    "SC_rgb_dcmtk_+eb+cy+n2",
    "SC_rgb_dcmtk_+eb+cy+np",
    "SC_rgb_dcmtk_+eb+cy+s2",
    "SC_rgb_dcmtk_+eb+cy+s4",
    "SC_rgb_jpeg_app14_dcmd",
    "SC_rgb_jpeg_dcmtk",
    "SC_rgb_jpeg_lossy_gdcm",
    "SC_rgb_small_odd_jpeg",
    "examples_ybr_color",
]


def read(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(FOLDER / f"{name}.dcm")


def frames(dataset):
    """Return the frames as we decode them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in CODECS:
        pytest.skip("the extra `libjpeg` is not installed")
    codec, frame = CODECS[syntax].create(), format_of(dataset)
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    streams = generate_frames(dataset.PixelData, number_of_frames=count)
    return [codec.decode(stream, frame) for stream in streams]


def pixels(name):
    return b"".join(each.data for each in frames(read(name)))


@pytest.mark.parametrize(("name", "native"), NATIVE.items())
def test_it_is_what_it_was_before_compression(name, native):
    data = pixels(name)
    assert data == read(native).PixelData[: len(data)]


@pytest.mark.parametrize("name", RLE)
def test_run_length_is_as_pydicom_decodes_it(name):
    dataset = read(name)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    decoded = b"".join(
        bytes(frame)
        for frame, _ in decoder.iter_buffer(dataset, decoding_plugin="pydicom", as_rgb=False)
    )
    planar = b"".join(_by_plane(each) for each in frames(dataset))
    assert planar == decoded


def _by_plane(frame):
    width, samples = frame.format.bits_allocated // 8, frame.format.samples_per_pixel
    pixel = width * samples
    return b"".join(
        frame.data[start : start + width]
        for sample in range(samples)
        for start in range(sample * width, len(frame.data), pixel)
    )


def test_a_dataset_that_is_signed_with_a_codestream_that_is_not():
    """Bits Stored of 13, in unsigned samples of 13 bits: the dataset says what they mean."""
    dataset = read("J2K_pixelrep_mismatch")
    samples = memoryview(frames(dataset)[0].data).cast("h")
    assert (min(samples), max(samples)) == (-2000, 1896)


@pytest.mark.parametrize("name", ["GDCMJ2K_TextGBR", "examples_jpeg2k", "SC_rgb_gdcm_KY"])
def test_transformed_colours_come_back_as_rgb(name):
    imagecodecs = pytest.importorskip("imagecodecs")
    dataset = read(name)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    (frame,) = frames(dataset)
    assert frame.format.photometric_interpretation == "RGB"
    assert frame.data == imagecodecs.jpeg2k_decode(stream).tobytes()


@pytest.mark.parametrize("name", LOSSY_JPEG)
def test_jpeg_is_as_another_library_decodes_it(name):
    """Two inverse transforms of cosines may round apart, and upsample as they like."""
    dataset = read(name)
    (first, *_) = frames(dataset)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    imagecodecs = pytest.importorskip("imagecodecs")
    if dataset.BitsStored > 8:
        expected = imagecodecs.jpeg_decode(stream).tobytes()
        ours, theirs = memoryview(first.data).cast("H"), memoryview(expected).cast("H")
    else:
        colours = "RGB" if dataset.PhotometricInterpretation == "RGB" else "YCBCR"
        expected = imagecodecs.jpeg8_decode(stream, colorspace=colours, outcolorspace="RGB")
        ours, theirs = first.data, expected.tobytes()
    far = sum(abs(a - b) > 3 for a, b in zip(ours, theirs, strict=True))
    assert far / len(ours) < 0.01


def test_lossless_jpeg_is_as_another_library_decodes_it():
    imagecodecs = pytest.importorskip("imagecodecs")
    dataset = read("SC_rgb_jpeg_gdcm")
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    assert pixels("SC_rgb_jpeg_gdcm") == imagecodecs.ljpeg_decode(stream).tobytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("JPEG2000-embedded-sequence-delimiter", "tiles"),
        ("JPEG-lossy", "scan"),
    ],
)
def test_files_that_are_broken_are_refused(name, reason):
    with pytest.raises(CodecError, match=reason):
        pixels(name)
