"""What pydicom, the reference, makes of a dataset, in the kernel's value model."""

import warnings
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.dataset import DatasetRecoder
from pacs_core.testing.header_scans import has_header_walk, scan_in_python

BULK = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def _values(element):
    if element.VR == "SQ":
        return tuple(_attributes(item) for item in element.value)
    if element.is_empty:
        return ()
    values = element.value if element.VM > 1 else [element.value]
    if element.VR == "AT":
        return tuple(f"{int(value):08X}" for value in values)
    return tuple(str(value).strip(" ") for value in values)


def _attributes(dataset: Dataset):
    return {
        int(element.tag): _values(element)
        for element in dataset
        if element.VR not in BULK and " " not in element.VR
    }


@pytest.fixture(scope="session")
def reference():
    """Read a file with pydicom; give its attributes."""

    def read(path: Path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _attributes(dcmread(path, force=True))

    return read


@pytest.fixture(scope="session")
def comparable():
    """Strip what the reference strips differently: padding and empty groups of a name."""

    def strip(attributes):
        return {
            tag: tuple(v.strip(" ").rstrip("=") if isinstance(v, str) else strip(v) for v in values)
            for tag, values in attributes.items()
        }

    return strip


@pytest.fixture(scope="session")
def recode():
    """Convert a whole dataset, fed in chunks of `size` bytes."""

    def recode(data, source, target, size=None):
        recoder = DatasetRecoder(source, target)
        size = size or max(len(data), 1)
        pieces = []
        for start in range(0, len(data), size):
            pieces += recoder.feed(data[start : start + size])
        return b"".join(pieces + recoder.finish())

    return recode


@pytest.fixture(scope="module", params=["python", "speedups"])
def either_scan(request):
    """Scan headers in Python, which is the reference, and with pacs-speedups."""
    if request.param == "python":
        with scan_in_python():
            yield
    elif has_header_walk():
        yield
    else:
        pytest.skip("pacs-speedups is not installed, or was built without a compiler")
