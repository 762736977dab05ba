"""Images such as those of a CT: smooth regions, edges, and noise that neighbours share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from . import data

SIDE = 512
PIXEL_BYTES = {8: SIDE * SIDE, 12: SIDE * SIDE * 2}
"""Of an image, by Bits Stored."""

_DIFFERENT = 20
_AIR, _TISSUE, _BONE, _NOISE = 24, 1040, 2200, 14


def write_images(folder: Path, count: int, bits: int) -> None:
    """Write images of 12 of 16 bits, or of 8, as Part 10 files."""
    folder.mkdir(parents=True)
    pixels = [picture.tobytes() for picture in pictures(min(count, _DIFFERENT), bits)]
    for number in range(count):
        dataset = _dataset(number, bits, pixels[number % len(pixels)])
        dataset.save_as(folder / f"{number:06d}.dcm", enforce_file_format=True)


def pictures(count: int, bits: int) -> Iterator[NDArray[np.integer]]:
    """Iterate over different images, as samples."""
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    noise = np.random.default_rng(1)
    for number in range(count):
        body = (row / 0.7) ** 2 + (column / 0.9) ** 2 < 1
        organs = 30 * np.sin(5 * row + number) * np.cos(4 * column) + 12 * row
        picture = np.where(body, _TISSUE + organs, _AIR)
        picture[(row - 0.3) ** 2 + column**2 < 0.012] = _BONE
        rough = noise.normal(0, _NOISE, (SIDE + 1, SIDE + 1))
        picture += (rough[1:, 1:] + rough[:-1, 1:] + rough[1:, :-1] + rough[:-1, :-1]) / 2
        if bits == 8:  # a window for soft tissue
            yield np.clip((picture - 840) / 400 * 255, 0, 255).astype("u1")
        else:
            yield np.clip(picture, 0, 4095).astype("<u2")


def _dataset(number: int, bits: int, pixels: bytes) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage if bits > 8 else SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = data.instance_uid(number)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = data.study_uid(0), data.series_uid(0)
    dataset.PatientID, dataset.PatientName = "CODECS", data.patient_name(0)
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = (16 if bits > 8 else 8), bits
    dataset.HighBit = bits - 1
    dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset
