"""Deterministic synthetic datasets, all Explicit VR Little Endian, of the sizes that are measured.

Every UID has the same length, so that a load generator can write others over it in place.
"""

import struct
from collections.abc import Iterator

from attrs import frozen
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"

_ROOT = "1.2.826.0.1.3680043.10.1461"
_STUDY, _SERIES, _INSTANCE = 1, 2, 3
_FIRST = 10_000_000  # no component of a UID begins with 0 (PS3.5 §9.1), and all are as long

_PIXELS = bytes((x * 7 + (x >> 9) * 13) & 0xFF for x in range(1 << 20))
"""A mebibyte of pixels that are cheap to make and not all zero."""


def _uid(kind: int, number: int) -> str:
    return f"{_ROOT}.{kind}.{_FIRST + number}"


def study_uid(number: int) -> str:
    """Return the Study Instance UID of a number, always of the same length."""
    return _uid(_STUDY, number)


def series_uid(number: int) -> str:
    """Return the Series Instance UID of a number."""
    return _uid(_SERIES, number)


def instance_uid(number: int) -> str:
    """Return the SOP Instance UID of a number."""
    return _uid(_INSTANCE, number)


@frozen
class Shape:
    """What makes one synthetic object larger than another."""

    sop_class_uid: str
    rows: int
    columns: int
    frames: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Length of Pixel Data, 16 bits allocated."""
        return self.rows * self.columns * 2 * self.frames


SHAPES = {
    "tiny": Shape(CT_IMAGE, 8, 8),
    "small": Shape(CT_IMAGE, 80, 80),
    "ct": Shape(CT_IMAGE, 512, 512),
    "100frames": Shape(MULTI_FRAME_WORD, 512, 512, 100),
    "1gb": Shape(MULTI_FRAME_WORD, 1024, 1024, 512),
}
"""About 2 KB, 15 KB, 527 KB, 52 MB and 1 GiB."""


def header(shape: Shape, study: int = 0, series: int = 0, instance: int = 0) -> bytes:
    """Return a dataset up to and including the header of its Pixel Data element."""
    dataset = _identification(shape, study, series, instance)
    dataset.update(_acquisition(series, instance))
    dataset.update(_image(shape))
    pixel_data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, shape.pixel_bytes)
    return _encode(dataset) + pixel_data


def pixels(shape: Shape) -> Iterator[bytes]:
    """Yield the pixels in pieces of at most a mebibyte, always the same ones."""
    left = shape.pixel_bytes
    while left:
        yield _PIXELS[:left]
        left -= min(left, len(_PIXELS))


def whole(shape: Shape, study: int = 0, series: int = 0, instance: int = 0) -> bytes:
    """Return a dataset that fits into memory."""
    return header(shape, study, series, instance) + b"".join(pixels(shape))


def part10(shape: Shape, study: int, series: int, instance: int) -> bytes:
    """Return the same as a Part 10 file (PS3.10 §7.1)."""
    meta = b"".join(
        _short_element(0x0002, number, vr, value)
        for number, vr, value in (
            (0x0002, b"UI", shape.sop_class_uid.encode()),
            (0x0003, b"UI", instance_uid(instance).encode()),
            (0x0010, b"UI", EXPLICIT_LITTLE.encode()),
            (0x0012, b"UI", _ROOT.encode()),
        )
    )
    version = struct.pack("<HH2sHI2s", 2, 1, b"OB", 0, 2, b"\0\1")
    length = _short_element(2, 0, b"UL", struct.pack("<I", len(version) + len(meta)))
    return bytes(128) + b"DICM" + length + version + meta + whole(shape, study, series, instance)


def _short_element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


_FAMILY = ("Adams", "Bauer", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Hansen", "Ito")
_GIVEN = ("Anna", "Ben", "Clara", "David", "Eva", "Felix", "Greta", "Hugo", "Ida", "Jan", "Kim")
MODALITIES = ("CT", "MR", "US", "CR", "DX")


def patient_name(study: int) -> str:
    """Return the Patient's Name of a study; some 20,000 different ones."""
    family, given = _FAMILY[study % len(_FAMILY)], _GIVEN[study % len(_GIVEN)]
    return f"{family}{study % 199:03d}^{given}"


def study_date(study: int) -> str:
    """Return the Study Date of a study: one of 28 days of a month, over 15 years."""
    month = study // 28 % 180
    return f"{2010 + month // 12:04d}{month % 12 + 1:02d}{study % 28 + 1:02d}"


def modality(study: int) -> str:
    """Return the Modality of all series of a study."""
    return MODALITIES[study % len(MODALITIES)]


def identifier(**values: object) -> bytes:
    """Return an encoded identifier of a query or retrieval (PS3.4 C.4.1.1.3)."""
    return _encode(_dataset(**values))


def _encode(dataset: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, dataset)
    return bytes(file.getvalue())


def _dataset(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _code(value: str, meaning: str) -> DicomSequence:
    item = _dataset(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning)
    return DicomSequence([item])


def _identification(shape: Shape, study: int, series: int, instance: int) -> Dataset:
    return _dataset(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        InstanceCreationDate=study_date(study),
        InstanceCreationTime="101500",
        SOPClassUID=shape.sop_class_uid,
        SOPInstanceUID=instance_uid(instance),
        StudyDate=study_date(study),
        SeriesDate=study_date(study),
        AcquisitionDate=study_date(study),
        ContentDate=study_date(study),
        StudyTime="100000",
        SeriesTime="101000",
        AcquisitionTime="101200",
        ContentTime="101500",
        AccessionNumber=f"A{study:08d}",
        Modality=modality(study),
        Manufacturer="Synthetic",
        InstitutionName="Benchmark Hospital",
        ReferringPhysicianName="Referrer^Rita",
        StationName="BENCH1",
        StudyDescription="Thorax native",
        ProcedureCodeSequence=_code("169069000", "CT of chest"),
        SeriesDescription="Axial 1.0 mm",
        ManufacturerModelName="Model 1",
        PatientName=patient_name(study),
        PatientID=f"P{study:08d}",
        PatientBirthDate="19600101",
        PatientSex="F",
        PatientAge="060Y",
        StudyInstanceUID=study_uid(study),
        SeriesInstanceUID=series_uid(series),
        StudyID=f"S{study:08d}",
    )


def _acquisition(series: int, instance: int) -> Dataset:
    return _dataset(
        BodyPartExamined="CHEST",
        SliceThickness="1.0",
        KVP="120",
        DataCollectionDiameter="500",
        DeviceSerialNumber="4711",
        SoftwareVersions="1.0",
        ProtocolName="Thorax",
        ReconstructionDiameter="360",
        DistanceSourceToDetector="1040",
        DistanceSourceToPatient="570",
        GantryDetectorTilt="0",
        TableHeight="150",
        RotationDirection="CW",
        ExposureTime="500",
        XRayTubeCurrent="240",
        Exposure="120",
        FilterType="BODY",
        GeneratorPower="50",
        ConvolutionKernel="B30f",
        PatientPosition="HFS",
        SeriesNumber=str(series % 100),
        AcquisitionNumber="1",
        InstanceNumber=str(instance % 100_000),
        ImagePositionPatient=["-180", "-180", "-50"],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        FrameOfReferenceUID=f"{_ROOT}.9",
        PositionReferenceIndicator="SN",
        SliceLocation="-50",
    )


def _image(shape: Shape) -> Dataset:
    dataset = _dataset(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=shape.rows,
        Columns=shape.columns,
        PixelSpacing=["0.7", "0.7"],
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        WindowCenter="40",
        WindowWidth="400",
        RescaleIntercept="-1024",
        RescaleSlope="1",
    )
    if shape.frames > 1:
        dataset.NumberOfFrames = shape.frames
    return dataset
