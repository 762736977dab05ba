"""``pacs split``: enhanced and other multi-frame images, by the command line."""

import json
import shutil
import subprocess
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from highdicom.legacy import (
    LegacyConvertedEnhancedCTImage,
    LegacyConvertedEnhancedMRImage,
    LegacyConvertedEnhancedPETImage,
)
from imagecodecs import jpeg_encode
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_frames
from pydicom.tag import Tag
from pydicom.uid import UID, JPEGBaseline8Bit, RLELossless

CT = Path(get_testdata_file("CT_small.dcm"))
MR = CT.with_name("MR_small.dcm")
STORAGE = "1.2.840.10008.5.1.4.1.1."
LEGACY = {
    "CT": (CT, LegacyConvertedEnhancedCTImage, {}),
    "MR": (MR, LegacyConvertedEnhancedMRImage, {}),
    "PT": (CT, LegacyConvertedEnhancedPETImage, {
        "SOPClassUID": UID(STORAGE + "128"), "Modality": "PT", "Units": "BQML",
        "CountsSource": "EMISSION", "SeriesType": ["WHOLE BODY", "IMAGE"], "NumberOfSlices": 3,
        "CorrectedImage": ["DECY", "ATTN"], "DecayCorrection": "START", "FrameReferenceTime": 0,
        "RescaleIntercept": 0, "RescaleSlope": 2.5, "DecayFactor": 1.5, "ImageIndex": 1,
        "ActualFrameDuration": 120000, "PatientOrientationCodeSequence": [],
    }),
}  # fmt: skip


def item(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def group(**sequences):
    return item(**{keyword: [item(**values)] for keyword, values in sequences.items()})


def multi_frame(sop_class, frames=3, **attributes):
    """Return an image with frames of noise, with what a CT has of patient and study."""
    made = dcmread(CT)
    for tag in [each.tag for each in made if each.tag.is_private or each.tag.group > 0x20]:
        del made[tag]
    for keyword in ("SliceThickness", "KVP", "GantryDetectorTilt", "ImagePositionPatient",
                    "ImageOrientationPatient", "SliceLocation", "AcquisitionNumber", "Exposure",
                    "XRayTubeCurrent", "ExposureTime"):  # fmt: skip
        made.pop(keyword, None)
    if sop_class.startswith("7."):
        del made.FrameOfReferenceUID, made.PositionReferenceIndicator, made.SpacingBetweenSlices
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(STORAGE + sop_class)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns, made.NumberOfFrames = 8, 6, frames
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    pixels = np.random.default_rng(1).integers(0, 4096, (frames, 8, 6), dtype="<u2")
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def enhanced(sop_class, shared, *frames, **attributes):
    made = multi_frame(sop_class, len(frames), **attributes)
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = list(frames)
    return made


def plane(number, **more):
    return group(
        PlanePositionSequence={"ImagePositionPatient": [0, 0, number * 2.5]},
        FrameContentSequence={
            "FrameAcquisitionNumber": number + 1,
            "FrameAcquisitionDateTime": f"2026112901020{number}.5-0500",
            "DimensionIndexValues": [number + 1],
        },
        **more,
    )


GEOMETRY = {
    "PixelMeasuresSequence": {"PixelSpacing": [0.5, 0.75], "SliceThickness": 2.5},
    "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
    "PixelValueTransformationSequence": {
        "RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": "HU",
    },
}  # fmt: skip


def save(path, dataset):
    dataset.save_as(path, enforce_file_format=True)
    return path


def read_split(run, folder, source):
    """Split a file; return what was made, which is to be valid."""
    code, out, err = run("split", source, "-o", folder)
    assert (code, err) == (0, "")
    made = [dcmread(each) for each in sorted(folder.iterdir())]
    assert out == f"{len(made)} images in {folder}\n"
    assert run("validate", folder, "--errors-only")[0] == 0
    assert len({each.SOPInstanceUID for each in made}) == len(made)
    assert len({each.SeriesInstanceUID for each in made}) == 1
    given = dcmread(source)
    for number, each in enumerate(made, 1):
        assert each.StudyInstanceUID == given.StudyInstanceUID
        assert each.SeriesInstanceUID != given.SeriesInstanceUID
        assert each.InstanceNumber == number
        assert each.get("NumberOfFrames", 1) == 1
        assert "PerFrameFunctionalGroupsSequence" not in each
        reference = each.SourceImageSequence[-1]
        assert reference.ReferencedSOPInstanceUID == given.SOPInstanceUID
        assert reference.ReferencedFrameNumber == number
    return made


def test_an_enhanced_ct_becomes_ct_images(run, tmp_path):
    exposure = {"ExposureTimeInms": 500.4, "XRayTubeCurrentInmA": 199.6, "ExposureInmAs": 100.0}
    shared = group(
        CTExposureSequence=exposure,
        CTXRayDetailsSequence={"KVP": 120},
        CTImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]},
        FrameVOILUTSequence={"WindowCenter": 40, "WindowWidth": 400},
        **GEOMETRY,
    )
    # That of a frame goes before that of all.
    other = {"FrameVOILUTSequence": {"WindowCenter": -600, "WindowWidth": 1500}}
    source = enhanced("2.1", shared, plane(0), plane(1, **other), plane(2))
    save(tmp_path / "ct", source)
    made = read_split(run, tmp_path / "out", tmp_path / "ct")
    assert {each.SOPClassUID for each in made} == {STORAGE + "2"}
    assert [each.ImagePositionPatient[2] for each in made] == [0, 2.5, 5]
    assert [each.WindowCenter for each in made] == [40, -600, 40]
    assert [each.AcquisitionNumber for each in made] == [1, 2, 3]
    first = made[0]
    assert (first.KVP, first.RescaleIntercept, first.PixelSpacing) == (120, -1024, [0.5, 0.75])
    assert (first.ExposureTime, first.XRayTubeCurrent, first.Exposure) == (500, 200, 100)
    assert (first.AcquisitionDate, first.AcquisitionTime) == ("20261129", "010200.5")
    assert first.ImageType == ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    assert "DimensionIndexValues" not in first
    assert b"".join(each.PixelData for each in made) == source.PixelData


def test_an_enhanced_mr_becomes_mr_images_and_loses_no_b_value(run, tmp_path):
    shared = group(
        MRTimingAndRelatedParametersSequence={
            "RepetitionTime": 2000, "FlipAngle": 90, "EchoTrainLength": 12,
        },
        MREchoSequence={"EffectiveEchoTime": 85.5},
        MRImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]},
        **GEOMETRY,
    )  # fmt: skip
    shared.update(group(
        MRModifierSequence={
            "FlowCompensation": "NONE", "SpatialPresaturation": "SLAB",
            "PartialFourierDirection": "PHASE", "SpectrallySelectedExcitation": "NONE",
        },
        MRFOVGeometrySequence={"MRAcquisitionFrequencyEncodingSteps": 8},
    ))  # fmt: skip
    frames = [
        plane(each, MRDiffusionSequence={"DiffusionBValue": each * 500.0}) for each in range(2)
    ]
    attributes = {
        "Modality": "MR", "EchoPulseSequence": "SPIN", "InversionRecovery": "YES",
        "EchoPlanarPulseSequence": "NO", "Spoiling": "RF", "MRAcquisitionType": "2D",
        "SteadyStatePulseSequence": "NONE",
    }  # fmt: skip
    source = enhanced("4.1", shared, *frames, **attributes)
    del source.ScanOptions
    save(tmp_path / "mr", source)
    made = read_split(run, tmp_path / "out", tmp_path / "mr")
    assert {each.SOPClassUID for each in made} == {STORAGE + "4"}
    assert [each.DiffusionBValue for each in made] == [0, 500]
    first = made[0]
    assert (first.EchoTime, first.RepetitionTime, first.EchoTrainLength) == (85.5, 2000, 12)
    assert (first.ScanningSequence, first.SequenceVariant) == (["SE", "IR"], "SP")
    assert first.ScanOptions == ["SP", "PFP"]


@pytest.mark.parametrize("modality", LEGACY)
def test_what_was_converted_comes_back(run, tmp_path, modality):
    path, convert, more = LEGACY[modality]
    images = []
    for number in range(3):
        image = dcmread(path)
        for keyword, value in more.items():
            setattr(image, keyword, value)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        image.InstanceNumber = number + 1
        image.ImagePositionPatient = [*image.ImagePositionPatient[:2], number]
        images.append(image)
    converted = convert(
        legacy_datasets=images, series_instance_uid="1.2.4", series_number=2,
        sop_instance_uid="1.2.5", instance_number=1,
    )  # fmt: skip
    if modality == "PT":  # which the conversion does not keep
        converted.NumberOfSlices = 3
    save(tmp_path / "legacy", converted)
    code, _, err = run("split", tmp_path / "legacy", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    made = [dcmread(each) for each in sorted((tmp_path / "out").iterdir())]
    assert [bytes(each.PixelData) for each in made] == [bytes(each.PixelData) for each in images]
    # Frames are in the order of their planes.
    made.sort(key=lambda each: each.ImagePositionPatient[2])
    for again, image in zip(made, images, strict=True):
        assert again.SOPClassUID == image.SOPClassUID
        for keyword in ("ImagePositionPatient", "PixelSpacing", "SliceThickness", "PatientID",
                        *more):  # fmt: skip
            assert again.get(keyword) == image.get(keyword)


@pytest.mark.parametrize(("sop_class", "colour"), [("7.3", False), ("7.4", True)])
def test_secondary_captures_native_and_encapsulated(run, tmp_path, sop_class, colour):
    source = multi_frame(sop_class, ConversionType="WSD", Modality="OT")
    if colour:
        source.SamplesPerPixel, source.PhotometricInterpretation = 3, "RGB"
        source.PlanarConfiguration, source.BitsAllocated = 0, 8
        source.BitsStored, source.HighBit = 8, 7
        source.PixelData = bytes(range(144)) * 3
    source.PageNumberVector = [1, 2, 3]
    save(tmp_path / "native", source)
    made = read_split(run, tmp_path / "one", tmp_path / "native")
    assert {each.SOPClassUID for each in made} == {STORAGE + "7"}
    assert b"".join(each.PixelData for each in made) == source.PixelData
    source.compress(RLELossless)
    save(tmp_path / "rle", source)
    frames = list(generate_frames(source.PixelData, number_of_frames=3))
    made = read_split(run, tmp_path / "two", tmp_path / "rle")
    assert [next(generate_frames(m.PixelData, number_of_frames=1)) for m in made] == frames


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
def test_several_frames_where_there_may_be_one(run, tmp_path, name):
    """A Secondary Capture Image has no Multi-frame Module (PS3.3 A.8.1), and some have frames."""
    source = CT.with_name(name)
    made = read_split(run, tmp_path / "out", source)
    given = dcmread(source).pixel_array
    assert len(made) == len(given) == 2
    assert all((each.pixel_array == frame).all() for each, frame in zip(made, given, strict=True))


XRAY = {
    "Modality": "XA", "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"], "KVP": 80,
    "PixelIntensityRelationship": "LOG", "RadiationSetting": "GR", "Exposure": 4,
}  # fmt: skip


def test_enhanced_xa_becomes_xa_images(run, tmp_path):
    """PS3.3 A.47 to A.14: what functional groups say stands where the XA Image IOD has it."""
    shared = group(
        FramePixelDataPropertiesSequence={
            "FrameType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"], "ImagerPixelSpacing": [0.2, 0.2],
            "PixelIntensityRelationship": "LIN", "PixelIntensityRelationshipSign": 1,
        },
        PositionerPositionSequence={"PositionerPrimaryAngle": 30, "PositionerSecondaryAngle": -5},
    )  # fmt: skip
    frames = [
        group(
            FrameAcquisitionSequence={"KVP": 70 + each, "XRayTubeCurrentInmA": 400.4},
            FrameContentSequence={"FrameAcquisitionNumber": each + 1},
        )
        for each in range(3)
    ]
    more = XRAY | {"ExposureTimeInms": 8.2}
    for keyword in ("KVP", "PixelIntensityRelationship", "Exposure"):
        del more[keyword]
    save(tmp_path / "xa", enhanced("12.1.1", shared, *frames, **more))
    made = read_split(run, tmp_path / "out", tmp_path / "xa")
    assert {each.SOPClassUID for each in made} == {STORAGE + "12.1"}
    assert [each.KVP for each in made] == [70, 71, 72]
    first = made[0]
    assert (first.XRayTubeCurrent, first.ExposureTime) == (400, 8)
    assert (first.PositionerPrimaryAngle, first.PositionerSecondaryAngle) == (30, -5)
    assert (first.PixelIntensityRelationship, first.ImagerPixelSpacing) == ("LIN", [0.2, 0.2])


def test_a_run_of_xa_becomes_images_of_one_frame(run, tmp_path):
    source = multi_frame("12.1", **XRAY)
    source.FrameIncrementPointer, source.FrameTime, source.CineRate = 0x00181063, 66.7, 15
    source.PositionerMotion, source.PositionerPrimaryAngle = "DYNAMIC", 10
    source.PositionerSecondaryAngle = 5
    source.PositionerPrimaryAngleIncrement = [0, 2, 2]
    source.PositionerSecondaryAngleIncrement = [0, 0, 0]
    source.MaskSubtractionSequence = [item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)]
    source.RecommendedViewingMode = "SUB"
    # An overlay with planes for the second and the third frame (PS3.3 C.9.2)
    for tag, vr, value in (
        (0x0010, "US", 8), (0x0011, "US", 6), (0x0015, "IS", 2), (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]), (0x0051, "US", 2), (0x0100, "US", 1), (0x0102, "US", 0),
        (0x3000, "OW", bytes(range(12))),
    ):  # fmt: skip
        source.add_new(0x60000000 | tag, vr, value)
    save(tmp_path / "xa", source)
    made = read_split(run, tmp_path / "out", tmp_path / "xa")
    assert b"".join(each.PixelData for each in made) == source.PixelData
    # All alike, they may be changes from frame to frame, and not the offsets that they should be.
    assert [each.PositionerPrimaryAngle for each in made] == [10, None, None]
    assert [each.PositionerSecondaryAngle for each in made] == [5, 5, 5]
    assert [each.get((0x6000, 0x3000)) and each[0x60003000].value for each in made] == [
        None, bytes(range(6)), bytes(range(6, 12)),
    ]  # fmt: skip
    for keyword in ("PositionerMotion", "MaskSubtractionSequence", "FrameTime", "CineRate"):
        assert all(keyword not in each for each in made)


@pytest.mark.parametrize(
    ("first", "increments", "angles"),
    [
        (10, 1.5, [10, 11.5, 13]), (10, [0, 2, 5], [10, 12, 15]), (0, [-30, 0, 30.5], [0, 0, 30.5]),
        (170, 15, [170, -175, -160]), (10, [0, 2], [10, 12, None]), (None, [0, 2, 5], [None] * 3),
        (10, [0, 0, 0], [10, 10, 10]), (10, [0, -2, -2], [10, None, None]),
    ],
)  # fmt: skip
def test_angles_of_an_arm_that_moves(run, tmp_path, first, increments, angles):
    """PS3.3 C.8.7.5.1.3: one value is a steady change, several are offsets from the first angle."""
    source = multi_frame("12.1", **XRAY, PositionerMotion="DYNAMIC", PositionerPrimaryAngle=first)
    source.FrameIncrementPointer, source.FrameTime, source.PositionerSecondaryAngle = 0x181063, 9, 5
    source.PositionerPrimaryAngleIncrement, source.PositionerSecondaryAngleIncrement = increments, 0
    save(tmp_path / "xa", source)
    made = read_split(run, tmp_path / "out", tmp_path / "xa")
    assert [each.PositionerPrimaryAngle for each in made] == angles
    assert [each.PositionerSecondaryAngle for each in made] == [5, 5, 5]
    assert all("PositionerPrimaryAngleIncrement" not in each for each in made)


def test_ultrasound_becomes_images_of_one_frame(run, tmp_path):
    source = multi_frame("3.1", Modality="US", FrameIncrementPointer=0x00181063, FrameTime=40)
    source.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
    save(tmp_path / "us", source)
    made = read_split(run, tmp_path / "out", tmp_path / "us")
    assert {each.SOPClassUID for each in made} == {STORAGE + "6.1"}
    assert b"".join(each.PixelData for each in made) == source.PixelData


def test_an_enhanced_us_volume_becomes_us_images_that_say_how_large_pixels_are(run, tmp_path):
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [0.5, 0.25], "SliceThickness": 1},
        ImageDataTypeSequence={"DataType": "TISSUE_INTENSITY", "AliasedDataType": "NO"},
        USImageDescriptionSequence={"FrameType": ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]},
        PlaneOrientationVolumeSequence={"ImageOrientationVolume": [1, 0, 0, 0, 1, 0]},
    )  # fmt: skip
    frames = [
        group(PlanePositionVolumeSequence={"ImagePositionVolume": [0, 0, each]})
        for each in range(2)
    ]
    source = enhanced("6.2", shared, *frames, Modality="US")
    for keyword, value in (("BitsAllocated", 8), ("BitsStored", 8), ("HighBit", 7)):
        setattr(source, keyword, value)
    source.PixelData = bytes(range(96))
    save(tmp_path / "us", source)
    made = read_split(run, tmp_path / "out", tmp_path / "us")
    assert {each.SOPClassUID for each in made} == {STORAGE + "6.1"}
    (region,) = made[0].SequenceOfUltrasoundRegions
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == (0.025, 0.05)
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (5, 7)
    assert [each.ImagePositionVolume for each in made] == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("offsets", "position", "planes"),
    [
        ([0, 2, 5], [1, 2, 30], [[1, 2, 30], [1, 2, 32], [1, 2, 35]]),
        ([30, 32, 35], [1, 2, 30], [[1, 2, 30], [1, 2, 32], [1, 2, 35]]),
    ],
)
def test_planes_of_a_dose_have_their_positions(run, tmp_path, offsets, position, planes):
    """Offsets begin with 0, or are coordinates (PS3.3 C.8.8.3.2)."""
    source = multi_frame("481.2", Modality="RTDOSE", FrameIncrementPointer=0x3004000C)
    source.FrameOfReferenceUID, source.PositionReferenceIndicator = "1.2.3", ""
    source.BitsStored, source.HighBit = 16, 15
    source.ImagePositionPatient, source.ImageOrientationPatient = position, [1, 0, 0, 0, 1, 0]
    source.PixelSpacing, source.SliceThickness, source.GridFrameOffsetVector = [2, 2], "", offsets
    source.DoseUnits, source.DoseType, source.DoseSummationType = "GY", "PHYSICAL", "BEAM"
    source.DoseGridScaling, source.OperatorsName = 0.001, ""
    save(tmp_path / "dose", source)
    code, _, err = run("split", tmp_path / "dose", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    made = [dcmread(each) for each in sorted((tmp_path / "out").iterdir())]
    assert [each.ImagePositionPatient for each in made] == planes
    assert all("GridFrameOffsetVector" not in each for each in made)
    assert b"".join(each.PixelData for each in made) == source.PixelData


def test_an_rt_image_has_the_exposure_of_its_frame(run, tmp_path):
    source = multi_frame("481.1", 2, Modality="RTIMAGE", FrameIncrementPointer=0x00181065)
    source.ExposureSequence = [item(ReferencedFrameNumber=n, KVP=6000 + n) for n in (1, 2)]
    source.RTImageLabel, source.RTImagePlane, source.ConversionType = "x", "NORMAL", "DI"
    save(tmp_path / "rt", source)
    code, _, err = run("split", tmp_path / "rt", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    made = [dcmread(each) for each in sorted((tmp_path / "out").iterdir())]
    assert [[each.KVP for each in image.ExposureSequence] for image in made] == [[6001], [6002]]


def test_frames_of_one_bit_begin_within_bytes(run, tmp_path):
    """Bits follow each other without a gap between frames (PS3.5 §8.1.1)."""
    source = multi_frame("7.1", 3, ConversionType="WSD", Modality="OT", Rows=3, Columns=3)
    source.BitsAllocated = source.BitsStored = 1
    source.HighBit = 0
    bits = np.random.default_rng(2).integers(0, 2, 27, dtype=np.uint8)
    source.PixelData = np.packbits(bits, bitorder="little").tobytes()
    save(tmp_path / "bits", source)
    made = read_split(run, tmp_path / "out", tmp_path / "bits")
    unpacked = [
        np.unpackbits(np.frombuffer(each.PixelData, np.uint8), bitorder="little")[:9]
        for each in made
    ]
    assert (np.concatenate(unpacked) == bits).all()


def test_fragments_that_are_empty_are_no_frames(run, tmp_path):
    """fo-dicom #1586: devices write an empty fragment after each frame."""
    source = multi_frame("7.2", 2, ConversionType="WSD", Modality="OT")
    source.BitsAllocated = source.BitsStored = 8
    source.HighBit = 7
    pictures = [np.full((8, 6), value, np.uint8) for value in (10, 200)]
    frames = [jpeg_encode(each) for each in pictures]
    frames = [each + bytes(len(each) % 2) for each in frames]
    pieces = [b"", frames[0], b"", frames[1], b""]
    source.PixelData = b"".join(b"\xfe\xff\0\xe0" + pack("<I", len(p)) + p for p in pieces)
    source["PixelData"].is_undefined_length = True
    source["PixelData"].VR = "OB"
    source.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    save(tmp_path / "in", source)
    made = read_split(run, tmp_path / "out", tmp_path / "in")
    assert [next(generate_frames(m.PixelData, number_of_frames=1)) for m in made] == frames


def test_what_does_not_fit_is_refused_and_nothing_is_left(run, tmp_path):
    def refuse(dataset, message):
        code, _, err = run("split", save(tmp_path / "in", dataset), "-o", tmp_path / "out")
        assert code == 1
        assert message in err
        assert [each.name for each in tmp_path.iterdir()] == ["in"]

    refuse(dcmread(CT), "there is no single-frame form of CT Image Storage")
    refuse(multi_frame("4.3", Modality="MR"), "no single-frame form of Enhanced MR Color")
    refuse(enhanced("130", group(**GEOMETRY), plane(0), Modality="PT"), "frame 1 is no Positron")
    shared = group(**GEOMETRY)
    shared.CTXRayDetailsSequence = [item(KVP=80), item(KVP=140)]
    refuse(enhanced("2.1", shared, plane(0)), "CTXRayDetailsSequence has 2 items")
    short = enhanced("2.1", group(**GEOMETRY), plane(0), NumberOfFrames=2)
    refuse(short, "ends in frame 2 of 2")
    for keyword, value in (("Rows", 0), ("Rows", None), ("NumberOfFrames", 10**9)):
        broken = enhanced("2.1", group(**GEOMETRY), plane(0))
        setattr(broken, keyword, value)
        refuse(broken, "frame")
    short.PixelData = short.PixelData * 2
    refuse(short, "frame 2 has no item in the functional groups")
    captured = multi_frame("7.3", 2, ConversionType="WSD", Modality="OT")
    captured.compress(RLELossless)
    captured.NumberOfFrames = 3
    refuse(captured, "the fragments make 2 frames, but NumberOfFrames is 3")
    assert run("split", CT, "-o", CT.parent)[0] == 2


def test_a_value_that_cannot_be_read_keeps_its_bytes_and_json_names_each_image(run, tmp_path):
    source = enhanced("2.1", group(**GEOMETRY), plane(0), plane(1))
    weight = RawDataElement(Tag("PatientWeight"), "FD", 4, b"abcd", 0, False, True)
    source._dict[Tag("PatientWeight")] = weight
    code, out, err = run("split", save(tmp_path / "in", source), "-o", tmp_path / "out", "--json")
    assert (code, err) == (0, "")
    said = [json.loads(line) for line in out.splitlines()]
    assert [each["frame"] for each in said] == [1, 2]
    for each in said:
        made = dcmread(each["file"])
        assert made.SOPInstanceUID == each["sop_instance_uid"]
        assert made.get_item("PatientWeight").value == b"abcd"


def test_text_of_a_group_keeps_its_meaning_in_the_character_set_of_the_image(run, tmp_path):
    """An item of a sequence may have a Specific Character Set of its own (PS3.3 C.12.1.1.2)."""
    shared = group(FrameVOILUTSequence={
        "SpecificCharacterSet": "ISO_IR 192", "WindowCenter": 1, "WindowWidth": 2,
        "WindowCenterWidthExplanation": "für Knochen",
    })  # fmt: skip
    shared.update(group(**GEOMETRY))
    source = enhanced("2.1", shared, plane(0), SpecificCharacterSet="ISO_IR 100")
    code, _, err = run("split", save(tmp_path / "in", source), "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    made = dcmread(tmp_path / "out" / "000001.dcm")
    assert made.SpecificCharacterSet == "ISO_IR 100"
    assert made.WindowCenterWidthExplanation == "für Knochen"


@pytest.mark.skipif(not shutil.which("gdcmtar"), reason="GDCM is not installed")
def test_frames_have_the_pixels_and_planes_that_gdcmtar_gives_them(run, tmp_path):
    shared = group(
        MRTimingAndRelatedParametersSequence={
            "RepetitionTime": 2000, "FlipAngle": 90, "EchoTrainLength": 12,
        },
        MREchoSequence={"EffectiveEchoTime": 85.5},
        MRImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]},
        **GEOMETRY,
    )  # fmt: skip
    attributes = {
        "Modality": "MR", "EchoPulseSequence": "SPIN", "InversionRecovery": "YES",
        "EchoPlanarPulseSequence": "NO", "Spoiling": "RF", "MRAcquisitionType": "2D",
        "SteadyStatePulseSequence": "NONE",
    }  # fmt: skip
    save(tmp_path / "mr", enhanced("4.1", shared, *map(plane, range(3)), **attributes))
    ours = read_split(run, tmp_path / "out", tmp_path / "mr")
    options = ["-i", tmp_path / "mr", "-o", f"{tmp_path}/theirs", "-p", "%d"]
    subprocess.run(["gdcmtar", "-U", *options], check=True)
    theirs = [dcmread(tmp_path / f"theirs{number}") for number in range(3)]
    for made, expected in zip(ours, theirs, strict=True):
        assert made.PixelData == expected.PixelData
        for keyword in ("ImagePositionPatient", "Rows", "Columns", "SOPClassUID",
                        "PatientID", "StudyInstanceUID"):  # fmt: skip
            assert made[keyword].value == expected[keyword].value
