"""Datasets with a ramp of values, and `pacs extract` in this process."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from pydicom.dataset import Dataset, FileMetaDataset

from pacs_core.cli.main import main

EXPLICIT = "1.2.840.10008.1.2.1"


@frozen
class Result:
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def extract(capsys, tmp_path: Path, monkeypatch) -> Callable[..., Result]:
    """Run `pacs extract` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACS_CONFIG", raising=False)

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main(["extract", *map(str, arguments)])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of DICOM files that pydicom ships."""
    spec = find_spec("pydicom")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "test_files"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset of an array, with further attributes, into a file."""

    def save(pixels: np.ndarray, bits: int = 0, name: str = "MONOCHROME2", **more: Any) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = EXPLICIT
        dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        if pixels.ndim == 3:
            dataset.PlanarConfiguration = 0
        dataset.PhotometricInterpretation = name
        dataset.BitsAllocated = 8 * pixels.itemsize
        dataset.BitsStored = bits or dataset.BitsAllocated
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes()
        for keyword, value in more.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "made.dcm", enforce_file_format=True)
        return tmp_path / "made.dcm"

    return save


@pytest.fixture
def ramp() -> np.ndarray:
    """Every value of 12 bits, unsigned."""
    return np.arange(4096, dtype="<u2").reshape(64, 64)
