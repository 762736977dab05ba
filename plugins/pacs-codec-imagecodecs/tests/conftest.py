"""The codecs by the last part of their transfer syntax UIDs, and frames as arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pacs_codec_imagecodecs import pacs_codecs
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from pacs_core.contracts import (
    Codec,
    CodecDescriptor,
    DecodedFrame,
    EncodedFrame,
    FrameFormat,
    NodeSettings,
    Setup,
)

ROOT = "1.2.840.10008.1.2.4."
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="session")
def descriptor_of() -> Callable[[str], CodecDescriptor]:
    descriptors = pacs_codecs(Setup(NodeSettings()))
    by_syntax = {uid: each for each in descriptors for uid in each.decodes}
    return lambda suffix: by_syntax[ROOT + suffix]


@pytest.fixture(scope="session")
def codec_of(descriptor_of: Callable[[str], CodecDescriptor]) -> Callable[[str], Codec]:
    return lambda suffix: descriptor_of(suffix).create()


@pytest.fixture(scope="session")
def smooth() -> Callable[[FrameFormat], Array]:
    """Return a function that makes a frame of waves, over the whole range of Bits Stored."""

    def make(frame: FrameFormat) -> Array:
        rows, columns = np.mgrid[0 : frame.rows, 0 : frame.columns]
        top = (1 << frame.bits_stored) - 1
        waves = ((np.sin(columns / 9) + np.cos(rows / 7) + 2) / 4 * top).astype(int)
        if frame.samples_per_pixel == 3:
            waves = np.stack([waves, top - waves, (columns * 3 + rows) % (top + 1)], -1)
        waves -= (top + 1) // 2 * frame.is_signed
        return waves.astype(f"<{'i' if frame.is_signed else 'u'}{frame.bits_allocated // 8}")

    return make


@pytest.fixture(scope="session")
def array_of() -> Callable[[DecodedFrame], Array]:
    """Return a function that shows a native frame as an array."""

    def show(decoded: DecodedFrame) -> Array:
        frame = decoded.format
        kind = f"<{'i' if frame.is_signed else 'u'}{frame.bits_allocated // 8}"
        shape = (frame.rows, frame.columns) + (3,) * (frame.samples_per_pixel == 3)
        return np.frombuffer(decoded.data, kind).reshape(shape)

    return show


@pytest.fixture
def dataset_of() -> Callable[[EncodedFrame, str], Dataset]:
    """Return a function that makes a dataset of one frame."""

    def make(encoded: EncodedFrame, suffix: str) -> Dataset:
        frame, dataset = encoded.format, Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ROOT + suffix
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SECONDARY_CAPTURE
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
        dataset.Rows, dataset.Columns = frame.rows, frame.columns
        dataset.SamplesPerPixel = frame.samples_per_pixel
        dataset.PhotometricInterpretation = frame.photometric_interpretation
        dataset.BitsAllocated, dataset.BitsStored = frame.bits_allocated, frame.bits_stored
        dataset.HighBit = frame.bits_stored - 1
        dataset.PixelRepresentation = int(frame.is_signed)
        if frame.samples_per_pixel == 3:
            dataset.PlanarConfiguration = 0
        dataset.PixelData = encapsulate([encoded.data])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        return dataset

    return make


@pytest.fixture
def write(
    dataset_of: Callable[[EncodedFrame, str], Dataset], tmp_path: Path
) -> Callable[[EncodedFrame, str], Path]:
    """Return a function that writes a file of one frame."""

    def save(encoded: EncodedFrame, suffix: str) -> Path:
        path = tmp_path / "encoded.dcm"
        dataset_of(encoded, suffix).save_as(path, enforce_file_format=True)
        return path

    return save
