"""Faces are removed from volumes of the head, and nothing else is (PS3.15 E.3.2)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pacs_deidentify.faces import Face
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

from .heads import Head, ct_head, make_multiframe, make_series, mr_head, uncut
from .test_files import run, save

__all__ = ["run"]

OPTIONS = ("--option", "clean-visual-features", "--option", "retain-uids")
pytestmark = pytest.mark.timeout(900)


def check_marks(made: Dataset) -> None:
    """PS3.15 E.3.2, PS3.16 CID 7050, PS3.3 C.7.6.1.1.2."""
    assert made.RecognizableVisualFeatures == "NO"
    assert "113102" in [code.CodeValue for code in made.DeidentificationMethodCodeSequence]
    assert made.ImageType[0] == "DERIVED"
    assert made.DerivationDescription == "The face is removed"


def check_face(head: Head, before: np.ndarray, after: np.ndarray, air: int) -> None:
    """Compare the skin, seen from the front, and all that is not the face."""
    changed = before != after
    assert (after[changed] == air).all()
    width, depth, _ = before.shape
    assert not changed[width // 4 : -width // 4, -depth // 5 :].any(), "the back of the head"
    if head.brain is not None:
        assert not changed[head.brain].any()
    was, now = head.skin(before), head.skin(after)
    # The nose is what stands out most in the middle. The forehead begins some 7 cm above its tip.
    middle = was.shape[0] // 2
    nose = int(was[middle - 4 : middle + 4, : -int(60 / head.spacing[2])].min(axis=0).argmin())
    sides, up = int(50 / head.spacing[0]), int(55 / head.spacing[2])
    face = np.s_[middle - sides : middle + sides, max(nose - up, 0) : nose + up]
    shown = was[face] < was[middle - 4 : middle + 4, nose].min() + 60
    gone = (now - was)[face][shown]
    assert shown.sum() > 1500
    assert np.percentile(gone, 1) >= 4, "skin is left"
    assert np.median(gone) >= 15


def stack_of(folder: Path, count: int) -> list[Dataset]:
    made = sorted(map(dcmread, folder.rglob("*.dcm")), key=lambda each: int(each.InstanceNumber))
    assert len(made) == count
    return made


def test_mr_loses_its_face_and_nothing_else(run, tmp_path: Path) -> None:
    """A localizer of the same head cannot be treated, and is refused."""
    head = mr_head()
    images = make_series(head, "sagittal")
    for number, image in enumerate(images):
        save(tmp_path / "in" / f"{number}.dcm", image)
    for number, image in enumerate(make_series(head, "axial", SeriesInstanceUID="1.2.3")[50:53]):
        save(tmp_path / "in" / f"localizer{number}.dcm", image)
    result = run("in", "out", *OPTIONS)
    assert result.code == 1
    refused = [line for line in result.err.splitlines() if "a face may be recognized" in line]
    assert len(refused) == 3
    assert all("localizer" in line and "3 slices are too few" in line for line in refused)
    made = stack_of(tmp_path / "out", len(images))
    for each in made:
        check_marks(each)
    before = uncut(np.stack([each.pixel_array for each in images]), "sagittal")
    after = uncut(np.stack([each.pixel_array for each in made]), "sagittal")
    assert (before == head.values).all()
    check_face(head, before, after, 0)


def test_multiframe_that_is_compressed_loses_its_face(run, tmp_path: Path) -> None:
    """Frames are where their functional groups say (PS3.3 C.7.6.16.2.3), in any order."""
    head = mr_head()
    whole = make_multiframe(head, "coronal")
    native = np.array(whole.pixel_array)
    whole.compress(RLELossless)
    save(tmp_path / "in" / "whole.dcm", whole)
    assert run("in", "out", *OPTIONS).code == 0
    (made,) = map(dcmread, (tmp_path / "out").rglob("*.dcm"))
    check_marks(made)
    assert made.file_meta.TransferSyntaxUID == RLELossless
    places = [
        float(frame.PlanePositionSequence[0].ImagePositionPatient[1])
        for frame in whole.PerFrameFunctionalGroupsSequence
    ]
    order = np.argsort(places)
    before, after = (uncut(each[order], "coronal") for each in (native, made.pixel_array))
    assert (before == head.values).all()
    check_face(head, before, after, 0)


@pytest.mark.long
def test_ct_loses_its_face(run, tmp_path: Path) -> None:
    """What is put there is air, in Hounsfield units."""
    head = ct_head(tmp_path)
    images = make_series(head, "axial")
    for number, image in enumerate(images):
        save(tmp_path / "in" / f"{number}.dcm", image)
    result = run("in", "out", *OPTIONS)
    assert result.code == 0, result.err
    made = stack_of(tmp_path / "out", len(images))
    for each in made:
        check_marks(each)
    before, after = (
        uncut(np.stack([each.pixel_array for each in some]), "axial").astype(int) - 1024
        for some in (images, made)
    )
    check_face(head, before, after, -1000)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "only slices of CT and MR"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME2"),
        ({"ImageOrientationPatient": None}, "where its slices are"),
        ({"Modality": "PT"}, "only slices of CT and MR"),
        ({"PixelSpacing": ["0.2", "0.2"]}, "mean head"),
    ],
)
def test_what_is_no_volume_of_a_head_is_refused(run, tmp_path: Path, more, reason: str) -> None:
    images = make_series(mr_head(), "axial", **more)
    for number, image in enumerate(images[::2] if "PixelSpacing" not in more else images):
        save(tmp_path / "in" / f"{number}.dcm", image)
    result = run("in", "out", *OPTIONS)
    assert result.code == 1
    assert not list((tmp_path / "out").rglob("*.dcm"))
    assert reason in result.err


def test_missing_slices_are_noticed(run, tmp_path: Path) -> None:
    """A gap may be where the nose was."""
    images = make_series(mr_head(), "axial")
    del images[40:48]
    for number, image in enumerate(images):
        save(tmp_path / "in" / f"{number}.dcm", image)
    result = run("in", "out", *OPTIONS)
    assert result.code == 1
    assert "slices are missing" in result.err
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_without_the_extra_it_is_refused_as_before(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("pacs_deidentify.command._can_find_faces", lambda: False)
    for number, image in enumerate(make_series(mr_head(), "axial")[:20]):
        save(tmp_path / "in" / f"{number}.dcm", image)
    result = run("in", "out", *OPTIONS)
    assert result.code == 1
    assert "no rule says that images of its device show none" in result.err


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_images_of_each_orientation_lose_the_same(x: int, y: int, z: int) -> None:
    removed = np.random.default_rng(x).random((10, 10, 10)) < 0.5
    face = Face(removed, np.diag([0.5, 0.5, 0.5, 1.0]))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        plane = np.zeros((4, 3))
        plane[first, 0] = plane[second, 1] = 2.0
        origin = 2.0 * np.array([x, y, z], float)
        origin[[first, second]] = 0
        plane[:, 2] = [*origin, 1]
        at = [x, y, z]
        assert face.of_plane(plane, 10, 10)[at[second], at[first]] == removed[x, y, z]
