"""The model: what is brighter than a threshold, and hangs together most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage

NAME = "Largest bright component"
VERSION = "1.0.0"
MANUFACTURER = "pacs-core"
THRESHOLD = 200.0
"""Hounsfield units."""


class NothingToSeeError(Exception):
    """The images are none that the model knows, or nothing is bright in them."""


@dataclass(frozen=True)
class Component:
    """What was found.

    Attributes
    ----------
    images : sequence of Dataset
        The images in their order in space.
    mask : ndarray of bool
        Slices, rows, columns.
    volume : float
        In cubic millimetres.
    name, version : str
        Of the model.
    """

    images: Sequence[Dataset]
    mask: NDArray[np.bool_]
    volume: float
    name: str = NAME
    version: str = VERSION


def find_component(images: Sequence[Dataset], threshold: float = THRESHOLD) -> Component:
    """Find the largest component that is brighter than a threshold.

    Parameters
    ----------
    images : sequence of Dataset
        CT images of one series, in any order.
    threshold : float
        In Hounsfield units.

    Raises
    ------
    NothingToSeeError
        There is none.
    """
    ordered, values = read_volume(images)
    labels, count = ndimage.label(values > threshold)
    if not count:
        raise NothingToSeeError(f"nothing is brighter than {threshold:g} HU")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask: NDArray[np.bool_] = labels == int(sizes.argmax())
    return Component(ordered, mask, measure(ordered, mask))


def read_volume(images: Sequence[Dataset]) -> tuple[list[Dataset], NDArray[np.float64]]:
    """Return the CT images in their order in space, and their values in Hounsfield units.

    Raises
    ------
    NothingToSeeError
        There is none.
    """
    usable = [each for each in images if each.get("Modality") == "CT" and "PixelData" in each]
    if not usable:
        raise NothingToSeeError("there is no CT image")
    ordered = sorted(usable, key=lambda each: float(each.ImagePositionPatient[2]))
    return ordered, np.stack([_hounsfield(each) for each in ordered])


def measure(ordered: Sequence[Dataset], mask: NDArray[np.bool_]) -> float:
    """Return the volume of a mask in cubic millimetres."""
    row, column = map(float, ordered[0].PixelSpacing)
    depth = float(ordered[0].get("SliceThickness") or 1.0)
    return float(mask.sum()) * row * column * depth


def _hounsfield(image: Dataset) -> NDArray[np.float64]:
    pixels = image.pixel_array.astype(np.float64)
    return pixels * float(image.RescaleSlope) + float(image.RescaleIntercept)
