"""Slices of a series as a volume, and the place of each in it (PS3.3 C.7.6.2, C.7.6.16.2)."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pacs_deidentify.blanking import native_layout
from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
from pacs_deidentify.faces import AIR, Matrix, Volume
from pacs_deidentify.files import ReadFile

Opening = Callable[[Path], AbstractContextManager[ReadFile]]

_MODALITIES: Final = frozenset({"CT", "MR"})
_NO_VOLUME: Final = frozenset({"LOCALIZER", "PROJECTION IMAGE", "MIP", "MIN IP", "VOLUME RENDERED"})
_VOXEL: Final = 2.0
_FEWEST: Final = 16
_WIDEST_GAP: Final = 7.5
_SHORTEST: Final = 80.0
_MOST_VOXELS: Final = 1 << 25
_PARALLEL: Final = 1e-3


@frozen
class Slice:
    """A frame of a series: where it is.

    Attributes
    ----------
    path : Path
    frame : int
        From 0.
    plane : array
        Matrix, 4 x 3, from column, row and 1 to millimetres of the patient.
    """

    path: Path
    frame: int
    plane: Matrix


def check_kind(dataset: Dataset) -> None:
    """Refuse what is no slice of a volume, or has no native samples that can be replaced."""
    kinds = {str(value).upper() for value in dataset.get("ImageType", None) or ()}
    if str(dataset.get("Modality", "")) not in _MODALITIES or kinds & _NO_VOLUME:
        raise DeidentificationError("only slices of CT and MR can have a face removed")
    if (
        int(dataset.get("SamplesPerPixel", 1)) != 1
        or dataset.get("PhotometricInterpretation", "") != "MONOCHROME2"
        or int(dataset.BitsAllocated) not in {8, 16}
        or int(dataset.HighBit) != int(dataset.BitsStored) - 1
    ):
        raise DeidentificationError("a face can be removed from MONOCHROME2 of 8 or 16 bits only")


def planes_of(dataset: Dataset) -> Iterator[Matrix]:
    """Iterate over the places of frames (PS3.3 C.7.6.2.1.1, C.7.6.16.2)."""
    for number in range(int(dataset.get("NumberOfFrames", None) or 1)):
        position = _of_frame(dataset, number, "PlanePositionSequence", "ImagePositionPatient")
        orientation = _of_frame(
            dataset, number, "PlaneOrientationSequence", "ImageOrientationPatient"
        )
        spacing = _of_frame(dataset, number, "PixelMeasuresSequence", "PixelSpacing")
        if position is None or orientation is None or spacing is None:
            raise DeidentificationError("it does not say where its slices are")
        across, down = np.reshape(np.array(orientation, float), (2, 3))
        plane = np.zeros((4, 3))
        # Pixel Spacing has the distance of rows first (PS3.3 10.7.1.3).
        plane[:3, 0], plane[:3, 1] = across * float(spacing[1]), down * float(spacing[0])
        plane[:, 2] = [*map(float, position), 1]
        lengths = np.linalg.norm([across, down], axis=1)
        if not np.isfinite(plane).all() or abs(lengths - 1).max() > 0.01 or min(spacing) <= 0:
            raise DeidentificationError("it does not say where its slices are")
        yield plane


def _of_frame(dataset: Dataset, frame: int, sequence: str, keyword: str) -> Any:
    """Return a value of a frame: of its functional groups, of the shared ones, or of the image."""
    own = dataset.get("PerFrameFunctionalGroupsSequence", None) or ()
    shared = dataset.get("SharedFunctionalGroupsSequence", None) or ()
    for group in (*own[frame : frame + 1], *shared):
        for item in group.get(sequence, None) or ():
            if (value := item.get(keyword)) is not None:
                return value
    return dataset.get(keyword)


def _rescale(dataset: Dataset, frame: int) -> tuple[float, float]:
    slope, intercept = (
        _of_frame(dataset, frame, "PixelValueTransformationSequence", keyword)
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    return float(1 if slope is None else slope) or 1.0, float(intercept or 0)


def kind_of(dataset: Dataset) -> str:
    """Return the type of stored samples, as numpy names it."""
    order = "<" if dataset.original_encoding[1] is not False else ">"
    return f"{order}u{int(dataset.BitsAllocated) // 8}"


def air_of(dataset: Dataset) -> int:
    """Return the stored value that is put where the face was: that of air, in CT; else zero."""
    stored = int(dataset.BitsStored)
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    low, high = (-1 << stored - 1, (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    value = 0
    if dataset.Modality == "CT":
        slope, intercept = _rescale(dataset, 0)
        value = round((-1000 - intercept) / slope)
    return min(max(value, low), high) & (1 << int(dataset.BitsAllocated)) - 1


def make_volume(slices: Iterable[Slice], opened: Opening) -> tuple[Volume, Matrix, bool]:
    """Return voxels, the matrix from their indices to millimetres, and whether they are in HU.

    Parameters
    ----------
    slices : iterable of Slice
    opened : callable
        Opens a file with native pixels.

    Raises
    ------
    DeidentificationError
        They make no volume in which a whole face could be found.
    """
    stack, normal = _stack(slices)
    places = [float(normal @ each.plane[:3, 2]) for each in stack]
    gaps = np.diff(places)
    gap = float(np.median(gaps))
    if gaps.max() > min(1.5 * gap, _WIDEST_GAP) or places[-1] - places[0] < _SHORTEST:
        raise DeidentificationError(
            f"slices are missing, or are no whole head: {places[-1] - places[0]:.0f} mm "
            f"with up to {gaps.max():.1f} mm from one to the next"
        )
    first, last = stack[0].plane, stack[-1].plane
    steps = [max(round(_VOXEL / size), 1) for size in np.linalg.norm(first[:3, :2], axis=0)]
    step = max(round(_VOXEL / gap), 1)
    pieces: list[NDArray[np.float32]] = []
    kinds: set[bool] = set()
    for values, is_ct in _read_frames(stack[::step], opened):
        rows, columns = values.shape[0] // steps[1], values.shape[1] // steps[0]
        kinds.add(is_ct)
        whole = values[: rows * steps[1], : columns * steps[0]]
        whole = whole.reshape(rows, steps[1], columns, steps[0])
        pieces.append(whole.mean(axis=(1, 3)).T)
        if len(pieces) * pieces[0].size > _MOST_VOXELS:
            raise DeidentificationError("its volume is larger than that of a head")
    if len({piece.shape for piece in pieces}) > 1 or len(kinds) > 1:
        raise DeidentificationError("its slices have different sizes, or modalities")
    hounsfield = True in kinds
    if hounsfield and not any((piece < AIR).any() for piece in pieces):
        raise DeidentificationError("it has no air in Hounsfield units around a head")
    affine = np.eye(4)
    affine[:, 0], affine[:, 1] = first[:, 0] * steps[0], first[:, 1] * steps[1]
    # Slices need not lie straight above each other: the gantry may be tilted.
    affine[:, 2] = (last[:, 2] - first[:, 2]) / (len(stack) - 1) * step
    # A voxel is the mean of some pixels, and in the middle of them.
    middle = [(steps[0] - 1) / 2, (steps[1] - 1) / 2, 1]
    affine[:, 3] = first @ middle
    return np.stack(pieces, axis=-1), affine, hounsfield


def _stack(slices: Iterable[Slice]) -> tuple[list[Slice], Matrix]:
    """Return one frame for each place, in order, and the direction in which they are."""
    listed = list(slices)
    across, down = (listed[0].plane[:3, n] for n in (0, 1))
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    by_place: dict[int, Slice] = {}
    for each in listed:
        if abs(each.plane[:, :2] - listed[0].plane[:, :2]).max() > _PARALLEL:
            raise DeidentificationError("its slices are not parallel, or have different spacings")
        by_place.setdefault(round(float(normal @ each.plane[:3, 2]) * 20), each)
    if len(by_place) < _FEWEST:
        raise DeidentificationError(f"{len(by_place)} slices are too few to find a face")
    return [by_place[place] for place in sorted(by_place)], normal


def _read_frames(
    slices: Iterable[Slice], opened: Opening
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Iterate over values, and whether they are Hounsfield units; open no file for each frame."""
    with ExitStack() as files:
        path = None
        for each in slices:
            if each.path != path:
                files.close()
                path, read = each.path, files.enter_context(opened(each.path))
            yield _read_frame(read, each.frame), read.dataset.Modality == "CT"


def _read_frame(read: ReadFile, frame: int) -> NDArray[np.float32]:
    if any(span.encapsulated for span in read.pixels):
        raise CompressedPixelsError("pixels are compressed, and nothing here decodes them")
    if len(read.pixels) != 1:
        raise DeidentificationError("it has no pixels, or more than one kind of them")
    words = read.pixels[0].words
    layout = native_layout(read.dataset, read.meta.transfer_syntax_uid, words=words)
    if layout.swaps or frame >= layout.frames:
        raise DeidentificationError("its frames cannot be taken apart")
    size = layout.plane_length
    read.content.seek(read.pixels[0].value + frame * size)
    data = read.content.read(size)
    if len(data) < size:
        raise DeidentificationError("Pixel Data is shorter than its attributes say")
    values = np.frombuffer(data, kind_of(read.dataset)).astype(np.int32)
    stored = int(read.dataset.BitsStored)
    values &= (1 << stored) - 1
    if int(read.dataset.get("PixelRepresentation", 0)) == 1:
        sign = 1 << stored - 1
        values = (values ^ sign) - sign
    slope, intercept = _rescale(read.dataset, frame)
    scaled = values.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return scaled.reshape(layout.rows, layout.columns)
