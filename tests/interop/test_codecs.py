"""Whole files, converted by ``pacs convert`` and by DCMTK's and GDCM's programs, each way.

PS3.5 §8.2, Annex A.4; what codecs make of single frames, their own tests compare.
"""

import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from attrs import frozen
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

pytestmark = pytest.mark.peer("dcmtk", "libgdcm-tools")

SC = "1.2.840.10008.5.1.4.1.1.7"
PATH = "/usr/local/bin:/usr/bin:/opt/homebrew/bin"
ROWS, COLUMNS = 36, 51


@frozen
class Kind:
    """An image, as far as codecs distinguish them."""

    stored: int = 8
    signed: bool = False
    colour: bool = False
    frames: int = 1
    planar: int = 0

    @property
    def allocated(self):
        return 8 if self.stored == 8 else 16

    @property
    def sop_class(self):
        """Secondary Capture: GDCM writes many frames only where the SOP class has them."""
        if self.frames == 1:
            return SC
        return f"{SC}.{4 if self.colour else 2 if self.stored == 8 else 3}"


KINDS = {
    "8": Kind(),
    "8-frames": Kind(frames=3),
    "12": Kind(12),
    "12-frames": Kind(12, frames=3),
    "12-signed": Kind(12, signed=True),
    "16": Kind(16),
    "16-signed": Kind(16, signed=True),
    "16-signed-frames": Kind(16, signed=True, frames=2),
    "rgb": Kind(colour=True),
    "rgb-frames": Kind(colour=True, frames=3),
    "rgb-planes": Kind(colour=True, planar=1),
}
ALL = frozenset(KINDS)
BYTES = frozenset(name for name, kind in KINDS.items() if kind.stored == 8)
GREY_BYTES = frozenset({"8", "8-frames"})
GREY_12 = frozenset({"12", "12-frames"})
UNSIGNED = frozenset(name for name, kind in KINDS.items() if not kind.signed)


def samples(kind):
    """Return frames with smooth parts, an edge and noise, over the whole range."""
    frame, row, column = np.mgrid[0 : kind.frames, 0:ROWS, 0:COLUMNS]
    top = (1 << kind.stored) - 1
    values = (np.sin((row + 5 * frame) / 9) + np.cos(column / 7) + 2) / 4.2 * top
    values[:, 10:15, 10:15] = top
    values += np.random.default_rng(5).integers(0, top // 32, values.shape)
    values = np.clip(values, 0, top).astype(int)
    if kind.colour:
        values = np.stack([values, top - values, (row * 3 + column) % (top + 1)], -1)
    values -= (top + 1) // 2 * kind.signed
    return values


def image(kind, uid):
    ds, values = Dataset(), samples(kind)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = kind.sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = "2.25.7", "2.25.8", "CODECS"
    ds.SamplesPerPixel = 3 if kind.colour else 1
    ds.PhotometricInterpretation = "RGB" if kind.colour else "MONOCHROME2"
    if kind.colour:
        ds.PlanarConfiguration = kind.planar
    ds.NumberOfFrames, ds.Rows, ds.Columns = kind.frames, ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = kind.allocated, kind.stored, kind.stored - 1
    ds.PixelRepresentation = int(kind.signed)
    if kind.planar:
        values = np.moveaxis(values, -1, 1)
    data = values.astype(f"<{'i' if kind.signed else 'u'}{kind.allocated // 8}").tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OB" if kind.allocated == 8 else "OW"
    return ds


def native(path):
    """Return the samples of a native file by pixel, without the bits above Bits Stored."""
    ds = dcmread(path)
    assert not ds.file_meta.TransferSyntaxUID.is_encapsulated
    frames = int(ds.get("NumberOfFrames") or 1)
    count = frames * ds.Rows * ds.Columns * ds.SamplesPerPixel
    flat = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}")[:count]
    flat = flat.astype(int) & ((1 << ds.BitsStored) - 1)
    if ds.get("PlanarConfiguration"):
        shaped = flat.reshape(frames, ds.SamplesPerPixel, ds.Rows, ds.Columns)
        return np.moveaxis(shaped, 1, -1)
    return flat.reshape(frames, ds.Rows, ds.Columns, ds.SamplesPerPixel)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    for number, (name, kind) in enumerate(KINDS.items(), 1):
        image(kind, f"2.25.9.{number}").save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return folder


def convert(source, target, *arguments):
    """Run ``pacs convert``; return the names of what it converted."""
    command = [sys.executable, "-m", "pacs_core.cli", "convert", source, target, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode in {0, 1}, result.stderr
    return {path.stem for path in target.iterdir()}


def program(name, *arguments):
    result = subprocess.run(
        [shutil.which(name, path=PATH), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=30,
        check=False,
    )
    assert result.returncode == 0, (name, arguments, result.stdout + result.stderr)


def by_program(name, *options):
    def decode(path, out):
        program(name, *options, path, out)
        return native(out)

    return decode


def by_pydicom(plugin):
    def decode(path, out):
        ds = dcmread(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.decompress(as_rgb=False, decoding_plugin=plugin)
        ds.save_as(out, enforce_file_format=True)
        return native(out)

    return decode


DCMDJPEG, GDCM = by_program("dcmdjpeg"), by_program("gdcmconv", "--raw")
DCMDJPLS, DCMDRLE = by_program("dcmdjpls"), by_program("dcmdrle")
PYLIBJPEG = by_pydicom("pylibjpeg")
LOSSY = ("--quality", "95")
OURS = {
    "JPEG Baseline": (LOSSY, BYTES, [DCMDJPEG]),
    "JPEG Extended": (LOSSY, GREY_BYTES | GREY_12, [DCMDJPEG]),
    "JPEG Lossless Process 14": ((), ALL, [DCMDJPEG, GDCM]),
    "JPEG Lossless": ((), ALL, [DCMDJPEG, GDCM]),
    "JPEG-LS": ((), ALL, [DCMDJPLS, GDCM]),
    "JPEG-LS Near-Lossless": (LOSSY, ALL, [DCMDJPLS]),
    "JPEG 2000 Lossless": ((), ALL, [GDCM]),
    "JPEG 2000": (LOSSY, ALL, [GDCM]),
    "RLE Lossless": ((), ALL, [DCMDRLE, GDCM, by_pydicom("pydicom")]),
    "HTJ2K Lossless": ((), ALL, [PYLIBJPEG]),
    "HTJ2K Lossless RPCL": ((), ALL, [PYLIBJPEG]),
    "HTJ2K": (LOSSY, ALL, [PYLIBJPEG]),
}
"""What files are converted to: options, which images it takes, and who decodes it."""
DISTINCT = {
    "JPEG Baseline", "JPEG Lossless", "JPEG-LS", "JPEG 2000 Lossless", "RLE Lossless",
    "HTJ2K Lossless", "dcmcjpeg +e1", "dcmcjpeg +eb", "dcmcjpls", "dcmcrle", "gdcmconv --j2k",
}  # fmt: skip
"""One of each family; the others go the same way as a whole, and their frames are compared by the
tests of the codecs."""


def each_of(table):
    return [
        pytest.param(name, marks=() if name in DISTINCT else pytest.mark.long) for name in table
    ]


@pytest.mark.parametrize("syntax", each_of(OURS))
def test_others_decode_what_we_encode(originals, tmp_path, syntax):
    options, expected, decoders = OURS[syntax]
    compressed, again, out = tmp_path / "compressed", tmp_path / "again", tmp_path / "out.dcm"
    assert convert(originals, compressed, "-t", syntax, *options) == expected
    assert convert(compressed, again, "-t", "explicit") == expected
    for name in sorted(expected):
        ours = native(again / f"{name}.dcm")
        if not options:
            assert np.array_equal(ours, native(originals / f"{name}.dcm")), name
        for number, decode in enumerate(decoders):
            theirs = decode(compressed / f"{name}.dcm", out)
            assert np.abs(ours - theirs).max() <= bool(options), (name, number)


THEIRS = {
    "dcmcjpeg +e1": (("dcmcjpeg", "+e1"), ALL, None),
    "dcmcjpeg +el": (("dcmcjpeg", "+el"), ALL, None),
    "dcmcjpeg +eb": (("dcmcjpeg", "+eb", "+q", "95"), BYTES, DCMDJPEG),
    "dcmcjpeg +ee": (("dcmcjpeg", "+ee", "+q", "95"), GREY_BYTES | GREY_12, DCMDJPEG),
    "dcmcjpls": (("dcmcjpls",), ALL, None),
    "dcmcjpls +en": (("dcmcjpls", "+en", "+md", "3"), UNSIGNED, DCMDJPLS),
    "dcmcrle": (("dcmcrle",), ALL, None),
    "gdcmconv --jpeg": (("gdcmconv", "--jpeg"), ALL, None),
    "gdcmconv --j2k": (("gdcmconv", "--j2k"), ALL, None),
    "gdcmconv --jpegls": (("gdcmconv", "--jpegls"), ALL, None),
    "gdcmconv --rle": (("gdcmconv", "--rle"), ALL, None),
}
"""What others compress with: which images, and, if it is lossy, who says what came of it."""


@pytest.mark.parametrize("name", each_of(THEIRS))
def test_we_decode_what_others_encode(originals, tmp_path, name):
    command, images, judge = THEIRS[name]
    compressed, ours = tmp_path / "compressed", tmp_path / "ours"
    compressed.mkdir()
    for each in images:
        program(*command, originals / f"{each}.dcm", compressed / f"{each}.dcm")
    assert convert(compressed, ours, "-t", "explicit") == images
    for each in sorted(images):
        if judge:
            expected = judge(compressed / f"{each}.dcm", tmp_path / "judged.dcm")
        else:
            expected = native(originals / f"{each}.dcm")
        difference = np.abs(native(ours / f"{each}.dcm") - expected)
        assert difference.max() <= bool(judge), each
