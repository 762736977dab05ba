"""Files that pydicom ships are split as pydicom splits them."""

import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from pacs_core.imaging import IMAGE_TAGS, EncapsulatedFrames, NativeFrames, image_of

# Those in the package itself: others would be downloaded.
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"


def _read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


def _encapsulated(path):
    try:
        dataset = _read(path)
        return "PixelData" in dataset and dataset.file_meta.TransferSyntaxUID.is_encapsulated
    except (InvalidDicomError, AttributeError, EOFError, ValueError):
        return False


def _attributes(dataset):
    present = (tag for tag in IMAGE_TAGS if tag in dataset)
    return {tag: (str(dataset[tag].value),) for tag in present}


FILES = [path for path in sorted(FOLDER.rglob("*.dcm")) if _encapsulated(path)]


def test_there_are_files():
    assert len(FILES) >= 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("chunk", [997, 1 << 20])
def test_the_same_frames(path, chunk):
    dataset = _read(path)
    image = image_of(_attributes(dataset))
    parser = EncapsulatedFrames(image, dataset.file_meta.TransferSyntaxUID)
    # pydicom keeps the items without the Sequence Delimitation Item.
    data = dataset.PixelData
    if not data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0"):
        data += b"\xfe\xff\xdd\xe0\0\0\0\0"
    read = []
    for start in range(0, len(data), chunk):
        read += parser.feed(data[start : start + chunk])
    parser.finish()
    expected = list(generate_frames(dataset.PixelData, number_of_frames=image.frames))
    assert read == expected


def _native_frames(name):
    dataset = _read(FOLDER / name)
    element = dataset["PixelData"]
    image = image_of(_attributes(dataset))
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    parser = NativeFrames(image, len(element.value), little_endian, element.VR)
    frames = parser.feed(element.value)
    parser.finish()
    return frames


@pytest.mark.parametrize(
    ("little", "big"),
    [
        ("MR_small.dcm", "MR_small_expb.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ],
)
def test_byte_order_does_not_matter(little, big):
    assert _native_frames(little) == _native_frames(big)


def test_subsampled_chroma():
    stored = _read(FOLDER / "SC_ybr_full_422_uncompressed.dcm").PixelData
    (frame,) = _native_frames("SC_ybr_full_422_uncompressed.dcm")
    assert frame[0::6] == stored[0::4]
    assert frame[3::6] == stored[1::4]
    assert frame[1::3] == bytes(chroma for value in stored[2::4] for chroma in (value, value))
    assert frame[2::3] == bytes(chroma for value in stored[3::4] for chroma in (value, value))
