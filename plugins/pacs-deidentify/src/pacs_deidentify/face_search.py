"""Faces of a folder, looked for in each series before images are de-identified (PS3.15 E.3.2)."""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen
from pydicom.dataset import Dataset

from pacs_core.api.file_commands import map_files
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.faces import Face, Matrix, find_face
from pacs_deidentify.files import open_file
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import find_rule
from pacs_deidentify.risks import may_show_face
from pacs_deidentify.volumes import (
    Opening,
    Slice,
    air_of,
    check_kind,
    kind_of,
    make_volume,
    planes_of,
)

# Theory of operation
#
# One image does not tell where a face is; all of its series do. So a folder is gone through twice
# where faces are to be removed. The first time, the places of all frames are read, and of each
# series one volume is made, of voxels of some two millimetres, in which the face is looked for.
# What was found is kept in a file for each series, or why there is none: then all of the series is
# refused. The second time, each frame of each image is laid into that volume by its own place and
# orientation, so that frames of other times, echoes and windows are treated, too.

_DAMAGED: Final = (
    OSError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError
)  # fmt: skip


@frozen
class ImageFace:
    """What of an image is face, and what is put there.

    Attributes
    ----------
    face : Face
    planes : tuple of array
        Of its frames.
    rows, columns : int
    kind : str
        Type of its samples, as numpy names it.
    air : int
        A stored value.
    """

    face: Face
    planes: tuple[Matrix, ...]
    rows: int
    columns: int
    kind: str
    air: int

    def blank(self, data: bytearray, frame: int) -> None:
        """Replace the face in a frame."""
        stored = np.frombuffer(data, self.kind)[: self.rows * self.columns]
        removed = self.face.of_plane(self.planes[frame], self.rows, self.columns)
        stored[removed.ravel()] = self.air


def look_for_faces(
    paths: Iterable[Path], profile: Profile, folder: Path, jobs: int, opened: Opening
) -> None:
    """Look for the face in each series of a folder that may show one.

    Parameters
    ----------
    paths : iterable of Path
        All files that are de-identified then.
    profile : Profile
    folder : Path
        Where is kept what is found, for :func:`face_of`.
    jobs : int
        Processes at most.
    opened : callable
        Opens a file with native pixels.
    """
    by_series: defaultdict[str, list[list[Slice] | str]] = defaultdict(list)
    for found in map_files(partial(survey_file, profile=profile), paths, jobs):
        if found:
            by_series[found[0]].append(found[1])
    for series, images in by_series.items():
        reasons = [each for each in images if isinstance(each, str)]
        slices = [slice_ for each in images if not isinstance(each, str) for slice_ in each]
        keep_face(folder, series, reasons[0] if reasons else slices, opened)


def survey_file(path: Path, profile: Profile) -> tuple[str, list[Slice] | str] | None:
    """Return of which series an image is that may show a face, and its frames, or why it has none.

    None for what shows no face, and what is no image that can be read: that is told later.
    """
    try:
        with open_file(path) as read:
            dataset = read.dataset
            rule = find_rule(profile.regions, dataset)
            if not may_show_face(dataset) or (rule and rule.no_faces):
                return None
            series = str(dataset.get("SeriesInstanceUID", ""))
            try:
                check_kind(dataset)
                frames = enumerate(planes_of(dataset))
                return series, [Slice(path, number, plane) for number, plane in frames]
            except DeidentificationError as error:
                return series, str(error)
    except (DeidentificationError, RecursionError, *_DAMAGED):
        return None


def name_face(folder: Path, series: str) -> Path:
    """Return the file of what was found in a series."""
    return folder / sha256(series.encode()).hexdigest()


def keep_face(folder: Path, series: str, slices: list[Slice] | str, opened: Opening) -> None:
    """Find the face of a series, and keep it, or why it is not found, in a file."""
    path = name_face(folder, series)
    if isinstance(slices, str):
        path.with_suffix(".txt").write_text(slices, encoding="utf-8")
        return
    try:
        volume, affine, hounsfield = make_volume(slices, opened)
        face = find_face(volume, affine, hounsfield=hounsfield)
    except DeidentificationError as error:
        path.with_suffix(".txt").write_text(str(error), encoding="utf-8")
        return
    except _DAMAGED as error:
        reason = f"no volume can be made of its series: {type(error).__name__}"
        path.with_suffix(".txt").write_text(reason, encoding="utf-8")
        return
    with path.with_suffix(".npz").open("wb") as out:
        np.savez_compressed(out, removed=face.removed, grid=face.grid)


def face_of(folder: Path, dataset: Dataset) -> ImageFace | None:
    """Return what of an image is face; None if it is not one in which some was looked for.

    Raises
    ------
    DeidentificationError
        It was not found in the series.
    """
    path = name_face(folder, str(dataset.get("SeriesInstanceUID", "")))
    reason, found = path.with_suffix(".txt"), path.with_suffix(".npz")
    if reason.exists():
        raise DeidentificationError(f"a face may be recognized in it: {reason.read_text('utf-8')}")
    if not found.exists():
        return None
    check_kind(dataset)
    with np.load(found) as kept:
        face = Face(kept["removed"], kept["grid"])
    planes = tuple(planes_of(dataset))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    return ImageFace(face, planes, rows, columns, kind_of(dataset), air_of(dataset))
