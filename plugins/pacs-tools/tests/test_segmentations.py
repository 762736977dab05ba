"""``pacs seg``: voxels and geometry there and back, held against values reckoned by hand."""

import json
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

CT = Path(get_testdata_file("CT_small.dcm"))
ROWS, COLUMNS, SLICES = 6, 5, 4
SPACING, GAP = (0.8, 0.5), 2.5  # between rows, between columns; between slices
ORIGIN = np.array([-10.0, 20.0, 30.0])
ALONG_ROW = np.array([0.6, 0.8, 0.0])  # oblique
ALONG_COLUMN = np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(ALONG_ROW, ALONG_COLUMN)


@pytest.fixture
def run(run):
    return partial(run, "seg")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    uid, frame_of_reference = generate_uid(), generate_uid()
    for number in range(SLICES):
        dataset = dcmread(CT)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = uid, frame_of_reference
        dataset.Rows, dataset.Columns, dataset.PixelSpacing = ROWS, COLUMNS, list(SPACING)
        dataset.ImageOrientationPatient = [*ALONG_ROW, *ALONG_COLUMN]
        dataset.ImagePositionPatient = list(ORIGIN + number * GAP * NORMAL)
        dataset.InstanceNumber, dataset.SliceThickness = number + 1, GAP
        dataset.PixelData = np.zeros((ROWS, COLUMNS), np.int16).tobytes()
        dataset.save_as(folder / f"{number}.dcm")
    return folder


def affine():
    """From indices of columns, rows and slices to NIfTI's coordinates, reckoned by hand."""
    lps = np.eye(4)
    lps[:3, 0] = ALONG_ROW * SPACING[1]
    lps[:3, 1] = ALONG_COLUMN * SPACING[0]
    lps[:3, 2] = NORMAL * GAP
    lps[:3, 3] = ORIGIN
    return np.diag([-1, -1, 1, 1]) @ lps


def labels(*, most=2):
    return np.random.default_rng(3).integers(0, most, (COLUMNS, ROWS, SLICES), np.uint8, True)


def save(array, path, at=None):
    nibabel.save(nibabel.Nifti1Image(array, affine() if at is None else at), path)
    return path


def load(path):
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def by_place(array, at):
    """Values of voxels that are not 0, by their coordinates, whatever the order of slices."""
    return {
        tuple(np.round(at @ [*index, 1], 3)[:3] + 0.0): float(array[tuple(index)])
        for index in np.argwhere(array)
    }


def test_many_images_without_looking_at_their_pixels(run, tmp_path):
    """What is in their Pixel Data does not matter; several processes read as one does."""
    number, uid, frame_of_reference = 40, generate_uid(), generate_uid()
    (tmp_path / "in").mkdir()
    for slice_ in range(number):
        dataset = dcmread(CT)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = uid, frame_of_reference
        dataset.ImagePositionPatient = [0, 0, slice_ * 3 * (-1) ** slice_]
        dataset.PixelData = b"no"
        dataset.save_as(tmp_path / "in" / f"{slice_:02}.dcm")
    for path in sorted((tmp_path / "in").iterdir())[1::2]:  # whose positions were not in a row
        path.unlink()
    array = np.zeros((128, 128, number // 2), np.uint8)
    array[3, 5, 7] = 1
    at = np.diag([-0.661468, -0.661468, 6, 1])
    nibabel.save(nibabel.Nifti1Image(array, at), tmp_path / "m.nii")
    made = []
    for jobs in (1, 2):
        path = tmp_path / f"{jobs}.dcm"
        options = ("--like", tmp_path / "in", "-o", path, "--jobs", jobs)
        assert run("from-masks", tmp_path / "m.nii", *options)[0::2] == (0, "")
        made.append(dcmread(path))
    one, two = made
    assert one.PixelData == two.PixelData
    assert one.ReferencedSeriesSequence == two.ReferencedSeriesSequence
    position = one.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    assert position.ImagePositionPatient[2] == 7 * 6


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_labels_go_there_and_back(run, series, tmp_path, kind):
    array = labels()
    array[..., 1] = 0  # an empty slice, which a SEG leaves out
    mask, made, back = save(array, tmp_path / "m.nii.gz"), tmp_path / "a.dcm", tmp_path / "back"
    assert run("from-masks", mask, "--like", series, "-o", made, "--kind", kind)[0::2] == (0, "")
    dataset = dcmread(made)
    assert dataset.SegmentationType == kind.upper()
    assert dataset.StudyInstanceUID == dcmread(CT).StudyInstanceUID
    assert run("to-nifti", made, "-o", back)[0::2] == (0, "")
    found, where = load(back / "labels.nii.gz")
    assert by_place(found, where) == by_place(array, affine())


def test_geometry_is_that_of_position_orientation_and_spacing(run, series, tmp_path):
    array = np.zeros((COLUMNS, ROWS, SLICES), np.uint8)
    array[0, 0, 0] = array[4, 5, 3] = 1
    made = tmp_path / "a.dcm"
    assert run("from-masks", save(array, tmp_path / "m.nii"), "--like", series, "-o", made)[0] == 0
    frames = dcmread(made).PerFrameFunctionalGroupsSequence
    places = [f.PlanePositionSequence[0].ImagePositionPatient for f in frames]
    last = ORIGIN + 3 * GAP * NORMAL
    assert np.allclose(sorted(places[0]), sorted(ORIGIN)) or np.allclose(places[0], last)
    assert run("to-nifti", made, "-o", tmp_path)[0] == 0
    found, where = load(tmp_path / "labels.nii.gz")
    voxels = set(by_place(found, where))
    # Left and back become right and front; by hand: origin, and 4 columns, 5 rows, 3 slices on.
    far = ORIGIN + 4 * 0.5 * ALONG_ROW + 5 * 0.8 * ALONG_COLUMN + 3 * 2.5 * NORMAL
    assert voxels == {(10.0, -20.0, 30.0), (-round(far[0], 3), -round(far[1], 3), round(far[2], 3))}


def test_the_order_and_direction_of_axes_do_not_matter(run, series, tmp_path):
    array, at = labels(), affine()
    flipped, turned = array[::-1].transpose(2, 0, 1), at.copy()
    turned[:3, 3] += (COLUMNS - 1) * at[:3, 0]
    turned[:3, 0] *= -1
    turned = turned[:, [2, 0, 1, 3]]
    for name, each, where in (("a", array, at), ("b", flipped, turned)):
        save(each, tmp_path / f"{name}.nii.gz", where)
        made = tmp_path / f"{name}.dcm"
        command = ("from-masks", tmp_path / f"{name}.nii.gz", "--like", series, "-o", made)
        assert run(*command)[0] == 0
    first, second = (dcmread(tmp_path / name) for name in ("a.dcm", "b.dcm"))
    assert first.PixelData == second.PixelData


def test_fractions_and_overlaps_have_a_file_for_each_segment(run, series, tmp_path):
    fractions = [labels(most=255) / 255, labels(most=1).astype(float)]
    names = [save(a.astype(np.float32), tmp_path / f"{n}.nii.gz") for n, a in enumerate(fractions)]
    made = tmp_path / "f.dcm"
    options = ("--like", series, "-o", made, "--kind", "fractional")
    assert run("from-masks", *names, *options)[0::2] == (0, "")
    assert run("to-nifti", made, "-o", tmp_path / "f")[0] == 0
    for number, array in enumerate(fractions, 1):
        found, where = load(tmp_path / "f" / f"segment-{number}.nii.gz")
        steps = np.round(np.asarray(found) * 255)  # as many as there are, so that none is lost
        assert np.allclose(steps, found * 255, atol=1e-4)
        assert by_place(steps, where) == by_place(np.round(array * 255), affine())
    both = save(np.ones((COLUMNS, ROWS, SLICES), np.uint8), tmp_path / "one.nii.gz")
    made = tmp_path / "o.dcm"
    assert run("from-masks", both, both, "--like", series, "-o", made)[0] == 0
    assert run("to-nifti", made, "-o", tmp_path / "o")[0] == 0
    assert (load(tmp_path / "o" / "segment-2.nii.gz")[0] == 1).all()
    assert not (tmp_path / "o" / "labels.nii.gz").exists()


def test_what_segments_are_is_kept(run, series, tmp_path):
    liver = get_testdata_file("liver_1frame.dcm")
    assert run("to-nifti", liver, "-o", tmp_path / "liver")[0] == 0
    described = json.loads((tmp_path / "liver" / "segments.json").read_text())
    assert [(each["number"], each["label"]) for each in described] == [(1, "Liver")]
    made = tmp_path / "a.dcm"
    options = ("--like", series, "-o", made, "--segments", tmp_path / "liver" / "segments.json")
    mask = save(labels(most=1), tmp_path / "m.nii.gz")
    assert run("from-masks", mask, *options)[0] == 0
    (segment,) = dcmread(made).SegmentSequence
    assert segment.SegmentLabel == "Liver"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert run("from-masks", mask, *options)[0] == 2  # it exists
    save(labels(most=2), mask)
    code, _, err = run("from-masks", mask, *options, "--overwrite")
    assert (code, "it has no segment 2" in err) == (1, True)
    assert run("to-nifti", liver, "-o", tmp_path / "liver")[0] == 2


def test_what_cannot_be_done_exactly_is_refused_and_nothing_left(run, series, tmp_path):
    moved, gaps = affine(), labels(most=1) * 3
    moved[:3, 3] += 0.3 * moved[:3, 0]
    outside = np.ones((COLUMNS, ROWS, SLICES + 1), np.uint8)
    cases = {
        "nothing is resampled": save(labels(), tmp_path / "moved.nii", moved),
        "lies outside": save(outside, tmp_path / "outside.nii"),
        "without gaps": save(gaps, tmp_path / "gaps.nii"),
        "whole numbers": save(labels() / np.float32(2), tmp_path / "half.nii"),
        "the masks are empty": save(labels(most=0), tmp_path / "empty.nii"),
        "4 dimensions": save(np.ones((2, 2, 2, 2), np.uint8), tmp_path / "4.nii"),
        "it is no NIfTI": CT,
    }
    for text, mask in cases.items():
        code, _, err = run("from-masks", mask, "--like", series, "-o", tmp_path / "a.dcm")
        assert (code, text in err) == (1, True), err
        assert not (tmp_path / "a.dcm").exists()
    assert run("to-nifti", CT, "-o", tmp_path / "none")[0] == 1
    assert not (tmp_path / "none").exists()
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(Path(get_testdata_file("liver_1frame.dcm")).read_bytes()[:-3000])
    assert run("to-nifti", damaged, "-o", tmp_path / "none")[0] == 1
