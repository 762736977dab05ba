"""What we encode, decoded by other implementations, from a file as a peer gets it."""

import io
import shutil
import subprocess

import pydicom
import pytest
from attrs import evolve
from pacs_codec_basic import pacs_codecs
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from pacs_core.contracts import EncodeOptions
from pacs_core.testing.codec_contract import frame_format, pictures

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}
PEER_PATH = "/usr/local/bin:/usr/bin:/opt/homebrew/bin"
FORMATS = {
    "8 bit": frame_format(48, 40),
    "a pixel": frame_format(1, 1),
    "a row": frame_format(1, 57),
    "narrow": frame_format(31, 40, bits=16, stored=12),
    "12 bit": frame_format(48, 41, bits=16, stored=12),
    "12 bit signed": frame_format(48, 41, bits=16, stored=12, signed=True),
    "16 bit": frame_format(48, 41, bits=16),
    "16 bit signed": frame_format(33, 40, bits=16, signed=True),
    "RGB": frame_format(33, 40, colour=True),
    "narrow RGB": frame_format(7, 13, colour=True),
}


def case(name, program, arguments):
    """Return a codec, and a program that decodes what it encodes."""
    package = "libgdcm-tools" if program == "gdcmconv" else "dcmtk"
    label = f"{name}-{program}"
    return pytest.param(name, program, arguments, marks=pytest.mark.peer(package), id=label)


PROGRAMS = [
    case("basic-jpeg-2000-lossless", "gdcmconv", ["--raw"]),
    case("basic-jpeg-2000", "gdcmconv", ["--raw"]),
    case("basic-jpeg-ls-lossless", "gdcmconv", ["--raw"]),
    case("basic-jpeg-ls-lossless", "dcmdjpls", []),
    case("basic-jpeg-ls", "dcmdjpls", []),
    case("basic-rle", "gdcmconv", ["--raw"]),
    case("basic-rle", "dcmdrle", []),
]


def dataset_of(encoded, transfer_syntax):
    """Return an image of two frames."""
    frame, dataset = encoded.format, Dataset()
    is_colour = frame.samples_per_pixel > 1
    dataset.SOPClassUID = SecondaryCaptureImageStorage if is_colour else MRImageStorage
    dataset.SOPInstanceUID = "2.25.1"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "2.25.2"
    dataset.Rows, dataset.Columns = frame.rows, frame.columns
    dataset.BitsAllocated, dataset.BitsStored = frame.bits_allocated, frame.bits_stored
    dataset.HighBit = frame.bits_stored - 1
    dataset.PixelRepresentation = int(frame.is_signed)
    dataset.SamplesPerPixel = frame.samples_per_pixel
    dataset.PhotometricInterpretation = frame.photometric_interpretation
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames = 2
    dataset.PixelData = encapsulate([encoded.data] * 2)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def by_pixel(data, dataset):
    """Return the first of two frames."""
    frame = data[: len(data) // 2]
    if dataset.SamplesPerPixel == 1 or not dataset.PlanarConfiguration:
        return frame
    size = len(frame) // 3
    return bytes(frame[n % 3 * size + n // 3] for n in range(len(frame)))


def stored(data, frame):
    """Return samples without the bits above, into which not everyone extends the sign."""
    samples = memoryview(data).cast("B" if frame.bits_allocated == 8 else "H")
    return [sample % (1 << frame.bits_stored) for sample in samples]


@pytest.mark.parametrize("what", FORMATS)
@pytest.mark.parametrize(("name", "program", "arguments"), PROGRAMS)
def test_programs_decode_it(name, program, arguments, what, tmp_path):
    command = shutil.which(program, path=PEER_PATH)
    frame = FORMATS[what]
    (transfer_syntax,) = CODECS[name].encodes
    data = pictures(frame)["noise"].data
    encoded = CODECS[name].create().encode(data, frame, EncodeOptions())
    compressed, native = tmp_path / "compressed.dcm", tmp_path / "native.dcm"
    dataset_of(encoded, transfer_syntax).save_as(compressed, enforce_file_format=True)
    subprocess.run([command, *arguments, compressed, native], check=True, capture_output=True)
    decoded = pydicom.dcmread(native)
    assert stored(by_pixel(decoded.PixelData, decoded)[: len(data)], frame) == stored(data, frame)
    if frame.samples_per_pixel == 3:
        assert decoded.PhotometricInterpretation == "RGB"


@pytest.mark.parametrize("what", FORMATS)
def test_pydicom_decodes_run_length(what):
    frame = FORMATS[what]
    data = pictures(frame)["noise"].data
    encoded = CODECS["basic-rle"].create().encode(data, frame, EncodeOptions())
    dataset = dataset_of(encoded, "1.2.840.10008.1.2.5")
    dataset.decompress(decoding_plugin="pydicom")
    assert by_pixel(dataset.PixelData, dataset)[: len(data)] == data


@pytest.mark.parametrize("what", FORMATS)
def test_imagecodecs_decodes_it(what):
    imagecodecs = pytest.importorskip("imagecodecs")
    frame = FORMATS[what]
    data = pictures(frame)["noise"].data
    for name in ("basic-jpeg-2000-lossless", "basic-jpeg-2000"):
        encoded = CODECS[name].create().encode(data, frame, EncodeOptions())
        assert imagecodecs.jpeg2k_decode(encoded.data).tobytes() == data
    if not frame.is_signed:  # which a codestream of JPEG-LS does not know
        encoded = CODECS["basic-jpeg-ls"].create().encode(data, frame, EncodeOptions())
        assert imagecodecs.jpegls_decode(encoded.data).tobytes() == data


@pytest.mark.parametrize("what", FORMATS)
def test_we_decode_high_throughput_jpeg_2000_of_openjph(what):
    imagecodecs = pytest.importorskip("imagecodecs")
    frame = FORMATS[what]
    data = pictures(frame)["noise"].data
    import numpy as np

    kind = "i" if frame.is_signed else "u"
    samples = np.frombuffer(data, f"<{kind}{frame.bits_allocated // 8}")
    shape = (frame.rows, frame.columns, 3)[: 3 if frame.samples_per_pixel == 3 else 2]
    codestream = imagecodecs.htj2k_encode(samples.reshape(shape), reversible=True)
    codec = CODECS["basic-htj2k"].create()
    labels = ["RGB", "YBR_RCT"] if frame.samples_per_pixel == 3 else ["MONOCHROME2"]
    for label in labels:
        decoded = codec.decode(codestream, evolve(frame, photometric_interpretation=label))
        assert decoded.data == data
        assert decoded.format == frame


@pytest.mark.parametrize("interleaving", ["none", "line", "sample"])
def test_we_decode_colours_of_jpeg_ls_however_they_are_interleaved(interleaving):
    charls = pytest.importorskip("_CharLS")
    frame = frame_format(5, 9, colour=True)
    data = pictures(frame)["noise"].data
    by_plane = b"".join(data[n::3] for n in range(3))
    arranged, mode = {"none": (by_plane, 0), "line": (data, 1), "sample": (data, 2)}[interleaving]
    codestream = bytes(charls._encode(arranged + bytes(512), 0, mode, 5, 9, 3, 8))
    decoded = CODECS["basic-jpeg-ls-lossless"].create().decode(codestream, frame)
    assert decoded.data == data


def test_a_file_of_jpeg_2000_in_the_place_of_a_codestream():
    """Not what PS3.5 §A.4.4 allows, and yet there are senders of it."""
    pillow = pytest.importorskip("PIL.Image")
    frame, file = frame_format(40, 50), io.BytesIO()
    data = pictures(frame)["noise"].data
    pillow.frombytes("L", (50, 40), data).save(file, "JPEG2000")
    assert file.getvalue()[4:8] == b"jP  "
    assert CODECS["basic-jpeg-2000"].create().decode(file.getvalue(), frame).data == data
