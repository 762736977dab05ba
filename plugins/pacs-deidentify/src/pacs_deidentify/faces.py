"""Faces found in volumes of a head, as what is to be removed of each image (PS3.15 E.3.2)."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import nibabel
import niimath
import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy import ndimage

from pacs_deidentify.errors import DeidentificationError

# Theory of operation
#
# A volume is registered with a mean head (affine, by niimath) twice, with two measures of likeness
# that fail in different ways. Where the face is, is known of the mean head. What is removed is
#
# - all in front of a surface that is some millimetres before the brain, and below it the jaws, the
#   teeth and the nose, as far as the image reaches, and the same beside the ears;
# - of the forehead, the temples, the cheeks and the ears what is less than some millimetres below
#   the skin of this very head, and the air before it. So skin is not left where a head differs
#   from the mean one.
#
# Published defacing tools fail for one volume in six to ten, mostly since the registration did, and
# nobody noticed. So nothing is removed, and the volume refused, unless both registrations agree
# about the face, are no more than a head can be turned and scaled, and lay the heads on each other.

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float64]

AIR: Final = -300.0
"""Hounsfield units below which is air, or foam."""

_COSTS: Final = ("fasthel", "fastcr")
_SECONDS: Final = 600
_TOP: Final = np.array([-5.0, 7.0, 80.0])
"""Millimetres: the vertex of the mean head, between its sides and its front and back."""

_FRONT: Final = np.array(
    # z and y: in front of this is the face. Brains reach to 5 mm behind it (frontal lobes) or less.
    [(-60, 30), (-50, 36), (-45, 44), (-40, 51), (-35, 57), (-30, 72), (-25, 79), (-20, 83),
     (-15, 87), (-10, 90), (10, 90)]
)  # fmt: skip
_CHIN: Final = -160
"""Below it is the neck, whatever the head."""
_SKIN: Final = 6.0
_MOST_APART: Final = 10.0
_MOST_TURNED: Final = 40.0
_SCALES: Final = (0.7, 1.4)
_LEAST_LIKE: Final = 0.85


@frozen
class Face:
    """What is to be removed of all images of a volume.

    Attributes
    ----------
    removed : array of bool
        On a grid of some two millimetres; what is beyond its edge is as the edge.
    grid : array
        Matrix, 4 x 4, from millimetres (PS3.3 C.7.6.2.1.1) to its indices.
    """

    removed: Mask
    grid: Matrix

    def of_plane(self, plane: Matrix, rows: int, columns: int) -> Mask:
        """Return which pixels of an image are removed.

        Parameters
        ----------
        plane : array
            Matrix, 4 x 3, from column, row and 1 to millimetres.
        rows, columns : int
        """
        matrix = (self.grid @ plane)[:3]
        across = np.arange(columns)[None, :]
        down = np.arange(rows)[:, None]
        indices = (
            np.clip(np.rint(m[0] * across + m[1] * down + m[2]).astype(int), 0, size - 1)
            for m, size in zip(matrix, self.removed.shape, strict=True)
        )
        return np.asarray(self.removed[tuple(indices)])


def find_face(volume: Volume, affine: Matrix, *, hounsfield: bool) -> Face:
    """Find the face in a volume.

    Parameters
    ----------
    volume : array
        Voxels of some two millimetres.
    affine : array
        Matrix, 4 x 4, from its indices to millimetres of the patient: left, posterior, head.
    hounsfield : bool
        Whether values are Hounsfield units.

    Raises
    ------
    DeidentificationError
        There is none that could be found for sure.
    """
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume, to_ras @ affine))  # type: ignore[no-untyped-call]
    values, place = np.asarray(image.dataobj, np.float32), np.array(image.affine, float)
    spacing = np.linalg.norm(place[:3, :3], axis=0)
    head = _find_head(values, hounsfield)
    seeded = place.copy()
    seeded[:3, 3] += _TOP - _top_of(head, place)
    if hounsfield:
        values = np.where(ndimage.binary_dilation(head, iterations=2), values, -1000)
        values = np.clip(values, -1000, 1300)
    outside = _outside_of(head)
    register = partial(_register, values, seeded, hounsfield)
    with ThreadPoolExecutor(len(_COSTS)) as pool:
        fits = list(pool.map(register, _COSTS))
    points = [np.moveaxis(_map(fit @ seeded, head.shape), 0, -1) for fit in fits]
    _check(fits, points, ~outside, spacing)
    removed = np.zeros(head.shape, bool)
    deep = ndimage.distance_transform_edt(~outside, sampling=spacing) > _SKIN
    for x, y, z in (np.moveaxis(each, -1, 0) for each in points):
        removed |= (y > np.interp(z, *_FRONT.T)) & (z < _FRONT[-1, 0]) & (z > _CHIN)
        removed |= (abs(x + 7.5) > 68) & (y > -50) & (z < -18) & (z > -80)
        removed |= ~deep & (((y > -45) & (z < 0)) | ((y > 30) & (z < 45))) & (z > _CHIN)
    return Face(removed, np.linalg.inv(to_ras @ place))


def _find_head(values: Volume, hounsfield: bool) -> Mask:
    if hounsfield:
        tissue = values > AIR
    else:
        smooth = ndimage.gaussian_filter(values, 1)
        tissue = smooth > 0.12 * np.percentile(smooth, 98)
    labels, count = ndimage.label(ndimage.binary_opening(tissue))
    if not count:
        raise DeidentificationError("no head is found in its volume")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _top_of(head: Mask, place: Matrix) -> Matrix:
    points = np.argwhere(head) @ place[:3, :3].T + place[:3, 3]
    top = np.percentile(points[:, 2], 99.9)
    upper = points[points[:, 2] > top - 110]
    low, high = np.percentile(upper[:, :2], [1, 99], axis=0)
    return np.array([*((low + high) / 2), top])


def _outside_of(head: Mask) -> Mask:
    """Return the air around a head: not what is in its nose and mouth."""
    closed = ndimage.binary_closing(np.pad(head, 4, "edge"), iterations=3)[4:-4, 4:-4, 4:-4]
    labels, _ = ndimage.label(~(closed | head))
    edges = [labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[..., -1]]
    numbers = np.unique(np.concatenate([each.ravel() for each in edges]))
    return np.isin(labels, numbers[numbers > 0])


def _register(values: Volume, place: Matrix, hounsfield: bool, cost: str) -> Matrix:
    """Return the matrix from millimetres of a volume to those of the mean head."""
    template = files("pacs_deidentify").joinpath("data", "mean_head.nii.gz")
    with TemporaryDirectory() as folder, as_file(template) as mean:
        source, fitted = Path(folder, "volume.nii"), Path(folder, "fit.json")
        nibabel.save(nibabel.Nifti1Image(values, place), source)  # type: ignore[no-untyped-call]
        # Hounsfield units are spread so that what is soft differs as much as bone and air.
        stretch = ["-h2c"] if hounsfield else []
        command = [
            niimath.bin, str(source), *stretch, "-allineate", str(mean), "-cost", cost,
            "-savemat", str(fitted), str(Path(folder, "aligned.nii")),
        ]  # fmt: skip
        try:
            subprocess.run(  # noqa: S603 a program of the extra, on files that were made here
                command, check=True, capture_output=True, timeout=_SECONDS, cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            matrix = np.array(json.loads(fitted.read_text())["fixed_to_moving"], float)
            return np.linalg.inv(matrix)
        except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            raise DeidentificationError(
                f"its volume cannot be laid on a mean head: {type(error).__name__}"
            ) from error


def _map(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Return the millimetres at which each voxel is."""
    grids = np.ogrid[tuple(slice(size) for size in shape)]
    return np.stack(
        [sum(m * g for m, g in zip(row, grids, strict=False)) + row[3] for row in matrix[:3]]
    )


def _check(fits: list[Matrix], points: list[Matrix], solid: Mask, spacing: Matrix) -> None:
    """Refuse what was not registered for sure."""
    first, second = points
    face = solid & (first[..., 1] > 20) & (first[..., 2] < 40)
    if not face.any():
        raise DeidentificationError("its volume has no face where a mean head has one")
    apart = np.percentile(np.linalg.norm(first[face] - second[face], axis=1), 99)
    template = files("pacs_deidentify").joinpath("data", "mean_head.nii.gz")
    with as_file(template) as path:
        mean = nibabel.Nifti1Image.from_filename(path)
        theirs = ~_outside_of(_find_head(np.asarray(mean.dataobj, np.float32), False))
        back = np.linalg.inv(mean.affine)
    for fit, where in zip(fits, points, strict=True):
        left, scales, right = np.linalg.svd(fit[:3, :3])
        turned = np.degrees(np.arccos(np.clip((np.trace(left @ right) - 1) / 2, -1, 1)))
        indices = np.rint(where @ back[:3, :3].T + back[:3, 3]).astype(int)
        known = np.all((indices >= 0) & (indices < theirs.shape), axis=-1)
        laid = theirs[tuple(indices[known].T)]
        like = 2 * (laid & solid[known]).sum() / max(laid.sum() + solid[known].sum(), 1)
        if (
            apart > _MOST_APART
            or turned > _MOST_TURNED
            or np.linalg.det(fit) < 0
            or not _SCALES[0] < scales.min() <= scales.max() < _SCALES[1]
            or like < _LEAST_LIKE
        ):
            raise DeidentificationError(
                f"its face is not found for sure: two registrations are {apart:.0f} mm apart, "
                f"turned by {turned:.0f} degrees, scaled by {scales.min():.2f} to "
                f"{scales.max():.2f}, and {like:.0%} of a mean head lies on this one"
            )
