"""Volumes of segmentations, by highdicom, and NIfTI files, by nibabel.

DICOM's patient coordinates go to the left and to the back, those of NIfTI to the right and to the
front (PS3.3 C.7.6.2.1.1; NIfTI-1, "orientation"): two axes change their signs. Voxels are never
resampled: a mask that is not on the grid of the images is refused.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from pacs_core.api.file_commands import CommandError, map_files, walk

if TYPE_CHECKING:
    import numpy as np
    from highdicom import Volume, VolumeGeometry
    from pydicom import Dataset

_SIGNS: Final = (-1.0, -1.0, 1.0, 1.0)
_GZIP: Final = b"\x1f\x8b"
_HEADER_SIZES: Final = frozenset({348, 540})
"""The number with which NIfTI-1 and NIfTI-2 begin, in either byte order."""

_NEEDED: Final = "for segmentations these are needed: pip install 'pacs-tools[segmentations]'"


def require() -> None:
    """Refuse to go on without the libraries.

    Raises
    ------
    CommandError
        They are not installed.
    """
    try:
        import highdicom
        import nibabel

        del highdicom, nibabel
    except ImportError as error:
        raise CommandError(_NEEDED) from error


@frozen
class Mask:
    """A NIfTI image.

    Attributes
    ----------
    array : ndarray
        In the order of NIfTI: x, y, z.
    affine : ndarray
        From indices to NIfTI's coordinates.
    """

    array: "np.ndarray[Any, Any]"
    affine: "np.ndarray[Any, Any]"


def to_nifti(volume: "Volume") -> bytes:
    """Return a volume as a compressed NIfTI file: columns, rows, slices."""
    import numpy as np
    from nibabel import nifti1

    make: Any = nifti1.Nifti1Image  # it has no types
    affine = np.diag(_SIGNS) @ volume.affine[:, [2, 1, 0, 3]]
    image = make(np.ascontiguousarray(volume.array.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return gzip.compress(image.to_bytes(), 6, mtime=0)


def check_mask(path: Path) -> None:
    """Refuse what is no NIfTI file by how it begins, before what reads one is imported.

    Raises
    ------
    CommandError
        It is none.
    """
    with path.open("rb") as file:
        begin = file.read(4)
    sizes = int.from_bytes(begin, "little"), int.from_bytes(begin, "big")
    if begin[:2] != _GZIP and not _HEADER_SIZES.intersection(sizes):
        raise CommandError(f"{path}: it is no NIfTI that can be read")


def read_mask(path: Path) -> Mask:
    """Read a NIfTI file.

    Raises
    ------
    CommandError
        It is none, or has not three dimensions, or says nothing of where it lies.
    """
    import nibabel
    import numpy as np

    try:
        image: Any = nibabel.load(path)
        array = np.asanyarray(image.dataobj)
        placed = int(image.header["sform_code"]) or int(image.header["qform_code"])
    except (nibabel.filebasedimages.ImageFileError, KeyError, ValueError, EOFError) as error:
        raise CommandError(f"{path}: it is no NIfTI that can be read: {error}") from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3:
        raise CommandError(f"{path}: it has {array.ndim} dimensions instead of three")
    if not placed:
        raise CommandError(f"{path}: it says nothing of where it lies (no sform, no qform)")
    return Mask(array, np.asarray(image.affine))


def read_series(paths: Iterable[Path], jobs: int) -> "list[Dataset]":
    """Read the images of one series, which a segmentation is to refer to, without their pixels.

    Raises
    ------
    CommandError
        There are none, or of several series.
    """
    found = [*filter(None, map_files(_read_image, walk(paths), jobs, label="reading"))]
    series = {str(dataset.get("SeriesInstanceUID")) for dataset in found}
    if len(series) != 1:
        raise CommandError(f"--like has images of {len(series)} series instead of one")
    return found


def _read_image(file: tuple[Path, bool]) -> "Dataset | None":
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    path, named = file
    try:
        dataset = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError as error:
        if named:
            raise CommandError(f"{path}: not a DICOM file") from error
        return None
    return dataset if "BitsAllocated" in dataset and "ImagePositionPatient" in dataset else None


def _grid_of(images: "list[Dataset]") -> "VolumeGeometry":
    """Return where the voxels of a series are (PS3.3 C.7.6.2)."""
    from highdicom import VolumeGeometry
    from highdicom.spatial import get_series_volume_positions

    first = images[0]
    for keyword in (
        "FrameOfReferenceUID", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    ):  # fmt: skip
        if any(image[keyword].value != first[keyword].value for image in images):
            raise ValueError(f"they have not the same {keyword}")
    spacing: float = first.get("SpacingBetweenSlices") or 1.0
    if len(images) > 1:
        found, positions = get_series_volume_positions(images)
        if found is None or positions is None:
            raise ValueError("they are not at regular distances")
        spacing, first = found, images[positions.index(0)]
    return VolumeGeometry.from_attributes(
        image_position=first.ImagePositionPatient,
        image_orientation=first.ImageOrientationPatient,
        rows=first.Rows,
        columns=first.Columns,
        pixel_spacing=first.PixelSpacing,
        spacing_between_slices=spacing,
        number_of_frames=len(images),
        coordinate_system="PATIENT",
        frame_of_reference_uid=first.FrameOfReferenceUID,
    )


def place(path: Path, mask: Mask, images: "list[Dataset]") -> "Volume":
    """Return a mask in the order of the images, voxel by voxel.

    Raises
    ------
    CommandError
        It is not on their grid, or has something outside of them.
    """
    import numpy as np
    from highdicom import Volume

    try:
        grid = _grid_of(images)
    except (ValueError, RuntimeError, AttributeError, KeyError) as error:
        raise CommandError(f"the images of --like make no volume: {error}") from error
    volume = Volume(
        mask.array,
        np.diag(_SIGNS) @ mask.affine,
        "PATIENT",
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )
    try:
        placed = volume.match_geometry(grid)
    except (ValueError, RuntimeError) as error:
        raise CommandError(
            f"{path}: its voxels are not those of the images, and nothing is resampled here: "
            f"{error}"
        ) from error
    if np.count_nonzero(placed.array) != np.count_nonzero(mask.array):
        raise CommandError(f"{path}: something of it lies outside of the images")
    return placed
