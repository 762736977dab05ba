"""``pacs split``: Nuclear Medicine images, by the command line (PS3.3 A.5, C.8.4.8)."""

import pytest
from pydicom.tag import Tag

from .test_split import item, multi_frame, read_split, save

IMAGE_TYPE = ["ORIGINAL", "PRIMARY"]


def nuclear(kind, frames, **attributes):
    """Return an NM Image of two energy windows and detectors, without what tells its frames."""
    made = multi_frame("20", frames, Modality="NM", ImageType=[*IMAGE_TYPE, kind, "EMISSION"])
    made.BitsStored, made.HighBit, made.PixelSpacing = 16, 15, [2, 2]
    made.CountsAccumulated, made.AcquisitionTerminationCondition = 1000, "TIME"
    for keyword in ("SpacingBetweenSlices", "ReconstructionDiameter", "ConvolutionKernel"):
        made.pop(keyword, None)
    made.ActualFrameDuration = 1000
    made.CorrectedImage, made.PatientOrientationCodeSequence = [], []
    made.PatientGantryRelationshipCodeSequence = []
    made.NumberOfEnergyWindows, made.NumberOfDetectors = 2, 2
    made.EnergyWindowInformationSequence = [
        item(
            EnergyWindowName=name,
            EnergyWindowRangeSequence=[
                item(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=low + 20)
            ],
        )
        for name, low in (("TC99", 130), ("TL201", 60))
    ]
    made.RadiopharmaceuticalInformationSequence = []
    made.DetectorInformationSequence = [
        item(
            CollimatorType="PARA", FocalDistance=0, StartAngle=start, ZoomFactor=[1, 1],
            ImagePositionPatient=[-10, -20, 30], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )
        for start in (0, 180)
    ]  # fmt: skip
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def pointers(*keywords):
    return [Tag(keyword) for keyword in keywords]


def split(run, tmp_path, source):
    save(tmp_path / "nm", source)
    made = read_split(run, tmp_path / "out", tmp_path / "nm")
    assert b"".join(each.PixelData for each in made) == source.PixelData
    assert {each.SOPClassUID for each in made} == {source.SOPClassUID}
    for each in made:
        assert each.NumberOfFrames == 1
        vectors = [each[tag].value for tag in pointers_of(each)]
        assert vectors == [1] * len(vectors)
    return made


def pointers_of(image):
    found = image.FrameIncrementPointer
    return [found] if isinstance(found, int) else list(found)


def test_static_frames_have_their_window_and_their_detector(run, tmp_path):
    source = nuclear("STATIC", 4, EnergyWindowVector=[1, 1, 2, 2], DetectorVector=[1, 2, 1, 2])
    source.FrameIncrementPointer = pointers("EnergyWindowVector", "DetectorVector")
    made = split(run, tmp_path, source)
    for keyword in ("EnergyWindowInformationSequence", "DetectorInformationSequence"):
        assert {len(each[keyword].value) for each in made} == {1}
    assert [each.EnergyWindowInformationSequence[0].EnergyWindowName for each in made] == [
        "TC99", "TC99", "TL201", "TL201",
    ]  # fmt: skip
    assert [each.DetectorInformationSequence[0].StartAngle for each in made] == [0, 180, 0, 180]
    assert {(each.NumberOfEnergyWindows, each.NumberOfDetectors) for each in made} == {(1, 1)}


def test_dynamic_frames_have_their_phase(run, tmp_path):
    source = nuclear("DYNAMIC", 3, EnergyWindowVector=[1] * 3, DetectorVector=[1] * 3)
    source.PhaseVector, source.NumberOfPhases, source.TimeSliceVector = [1, 1, 2], 2, [1, 2, 1]
    source.PhaseInformationSequence = [
        item(
            PhaseDelay=0, ActualFrameDuration=1000 * frames, PauseBetweenFrames=0,
            NumberOfFramesInPhase=frames,
        )
        for frames in (2, 1)
    ]  # fmt: skip
    source.FrameIncrementPointer = pointers(
        "EnergyWindowVector", "DetectorVector", "PhaseVector", "TimeSliceVector"
    )
    made = split(run, tmp_path, source)
    phases = [each.PhaseInformationSequence for each in made]
    assert [each[0].ActualFrameDuration for each in phases] == [2000, 2000, 1000]
    assert {(len(each), each[0].NumberOfFramesInPhase) for each in phases} == {(1, 1)}


@pytest.mark.parametrize(("direction", "angles"), [("CC", [10, 40, 190, 220]),
                                                   ("CW", [10, 340, 190, 160])])  # fmt: skip
def test_views_have_their_angle(run, tmp_path, direction, angles):
    """PS3.3 C.8.4.12: clockwise angles decrease, and Start Angle is that of the first view."""
    source = nuclear("TOMO", 4, EnergyWindowVector=[1] * 4, DetectorVector=[1] * 4)
    source.RotationVector, source.NumberOfRotations = [1, 1, 2, 2], 2
    source.AngularViewVector = [1, 2, 1, 2]
    source.RotationInformationSequence = [
        item(
            StartAngle=start, AngularStep=30, RotationDirection=direction, ScanArc=60,
            ActualFrameDuration=1000, RadialPosition=[150, 160], NumberOfFramesInRotation=2,
        )
        for start in (10, 190)
    ]  # fmt: skip
    source.FrameIncrementPointer = pointers(
        "EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"
    )
    made = split(run, tmp_path, source)
    rotations = [each.RotationInformationSequence[0] for each in made]
    assert [each.StartAngle for each in rotations] == angles
    assert [each.RadialPosition for each in rotations] == [150, 160, 150, 160]
    assert {(each.NumberOfFramesInRotation, each.ScanArc) for each in rotations} == {(1, 30)}


def test_gated_frames_have_their_interval_and_slot(run, tmp_path):
    source = nuclear("GATED", 4, EnergyWindowVector=[1] * 4, DetectorVector=[1] * 4)
    source.RRIntervalVector, source.NumberOfRRIntervals = [1, 1, 2, 2], 2
    source.TimeSlotVector, source.NumberOfTimeSlots = [1, 2, 1, 2], 2
    source.GatedInformationSequence = [
        item(
            DataInformationSequence=[
                item(
                    FrameTime=50 + rr, NominalInterval=900, LowRRValue=800, HighRRValue=1000,
                    TimeSlotInformationSequence=[
                        item(TimeSlotTime=100 * rr + slot) for slot in (1, 2)
                    ],
                )
                for rr in (1, 2)
            ],
        )
    ]  # fmt: skip
    source.FrameIncrementPointer = pointers(
        "EnergyWindowVector", "DetectorVector", "RRIntervalVector", "TimeSlotVector"
    )
    made = split(run, tmp_path, source)
    data = [each.GatedInformationSequence[0].DataInformationSequence for each in made]
    assert [each[0].FrameTime for each in data] == [51, 51, 52, 52]
    slots = [each[0].TimeSlotInformationSequence for each in data]
    assert [each[0].TimeSlotTime for each in slots] == [101, 102, 201, 202]
    assert {len(each) for each in (*data, *slots)} == {1}


@pytest.mark.parametrize(("spacing", "heights"), [(4, [30, 34, 38]), (-4, [30, 26, 22]),
                                                  (None, [30, None, None])])  # fmt: skip
def test_slices_have_their_position(run, tmp_path, spacing, heights):
    """PS3.3 C.8.4.15: the sign of Spacing Between Slices tells on which side of the first one."""
    source = nuclear("RECON TOMO", 3, SliceVector=[1, 2, 3], NumberOfSlices=3)
    source.SpacingBetweenSlices, source.SliceThickness, source.SliceLocation = spacing, 4, 7
    source.RotationInformationSequence, source.NumberOfRotations = [], 1
    source.FrameIncrementPointer = Tag("SliceVector")
    source.NumberOfDetectors, source.NumberOfEnergyWindows = 1, 1
    for keyword in ("DetectorInformationSequence", "EnergyWindowInformationSequence"):
        del source[keyword].value[1]
    made = split(run, tmp_path, source)
    positions = [each.DetectorInformationSequence[0].ImagePositionPatient for each in made]
    assert [each and each[2] for each in positions] == heights
    assert positions[0] == [-10, -20, 30]
    assert ["SliceLocation" in each for each in made] == [True, False, False]


@pytest.mark.parametrize(
    ("vector", "why"),
    [([1, 2], "no value for frame 3"), ([1, 2, 3], "no such item"), ([1, 0, 1], "frame 2")],
)
def test_a_vector_that_does_not_fit_is_refused(run, tmp_path, vector, why):
    source = nuclear("STATIC", 3, EnergyWindowVector=vector, DetectorVector=[1] * 3)
    source.FrameIncrementPointer = pointers("EnergyWindowVector", "DetectorVector")
    save(tmp_path / "nm", source)
    code, out, err = run("split", tmp_path / "nm", "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert why in err
    assert not (tmp_path / "out").exists()
