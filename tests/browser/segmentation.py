"""A segmentation of images that tests make (PS3.3 A.51), by hand."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid


def item(**values: object) -> Dataset:
    """Return a dataset with these attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, Items(value) if isinstance(value, list) and value and
                isinstance(value[0], Dataset) else value)  # fmt: skip
    return dataset


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """Return a sequence with one coded concept."""
    return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def segment(images: Sequence[Dataset], mask: "np.ndarray") -> Dataset:
    """Return a segmentation of one segment, with the same mask on each image.

    Parameters
    ----------
    images : sequence of Dataset
        Of one series, by their position.
    mask : array of bool
        Rows by columns.
    """
    first = images[0]
    dimension = generate_uid(prefix="1.2.826.0.1.99.")
    position = 0x00200032  # Image Position (Patient)
    seg = item(
        SOPClassUID=SegmentationStorage,
        SOPInstanceUID=generate_uid(prefix="1.2.826.0.1.99."),
        StudyInstanceUID=first.StudyInstanceUID,
        SeriesInstanceUID=generate_uid(prefix="1.2.826.0.1.99."),
        PatientName=first.PatientName, PatientID=first.PatientID,
        PatientBirthDate=first.PatientBirthDate, PatientSex=first.PatientSex,
        StudyDate=first.StudyDate, StudyTime=first.StudyTime, StudyID=first.StudyID,
        AccessionNumber=first.AccessionNumber,
        ReferringPhysicianName=first.ReferringPhysicianName,
        SeriesDate=first.StudyDate, SeriesTime=first.StudyTime,
        Modality="SEG", SeriesNumber=20, SeriesDescription="Lesions", InstanceNumber=1,
        Manufacturer="Tests", ManufacturerModelName="Tests", DeviceSerialNumber="1",
        SoftwareVersions="1", ContentLabel="LESIONS", ContentDescription="", ContentCreatorName="",
        ContentDate=first.StudyDate, ContentTime=first.StudyTime,
        ImageType=["DERIVED", "PRIMARY"], FrameOfReferenceUID=first.FrameOfReferenceUID,
        PositionReferenceIndicator="", SegmentationType="BINARY", LossyImageCompression="00",
        Rows=first.Rows, Columns=first.Columns, NumberOfFrames=len(images), SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0, BitsAllocated=1,
        BitsStored=1, HighBit=0,
        DimensionOrganizationSequence=[item(DimensionOrganizationUID=dimension)],
        DimensionIndexSequence=[
            item(DimensionOrganizationUID=dimension, DimensionIndexPointer=0x0062000B,
                 FunctionalGroupPointer=0x0062000A),
            item(DimensionOrganizationUID=dimension, DimensionIndexPointer=position,
                 FunctionalGroupPointer=0x00209113),
        ],
        ReferencedSeriesSequence=[
            item(SeriesInstanceUID=first.SeriesInstanceUID,
                 ReferencedInstanceSequence=[_reference(each) for each in images]),
        ],
        SegmentSequence=[
            item(SegmentNumber=1, SegmentLabel="Lesion", SegmentAlgorithmType="MANUAL",
                 RecommendedDisplayCIELabValue=[34885, 53485, 50171],
                 SegmentedPropertyCategoryCodeSequence=code("49755003", "SCT", "Abnormality"),
                 SegmentedPropertyTypeCodeSequence=code("52988006", "SCT", "Lesion")),
        ],
        SharedFunctionalGroupsSequence=[
            item(PixelMeasuresSequence=[
                     item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness,
                          SpacingBetweenSlices=first.SliceThickness)],
                 PlaneOrientationSequence=[
                     item(ImageOrientationPatient=first.ImageOrientationPatient)]),
        ],
        PerFrameFunctionalGroupsSequence=[
            _frame(number, image) for number, image in enumerate(images, 1)
        ],
    )  # fmt: skip
    seg.file_meta = FileMetaDataset()
    seg.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = np.packbits(np.tile(mask.ravel(), len(images)), bitorder="little")  # PS3.5 8.1.1
    seg.add_new("PixelData", "OB", bits.tobytes() + b"\0" * (len(bits) % 2))
    return seg


def _reference(image: Dataset) -> Dataset:
    return item(
        ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
    )


def _frame(number: int, image: Dataset) -> Dataset:
    source = _reference(image)
    source.PurposeOfReferenceCodeSequence = Items(
        code("121322", "DCM", "Source image for image processing operation")
    )
    derivation = item(SourceImageSequence=[source])
    derivation.DerivationCodeSequence = Items(code("113076", "DCM", "Segmentation"))
    return item(
        FrameContentSequence=[item(DimensionIndexValues=[1, number])],
        PlanePositionSequence=[item(ImagePositionPatient=image.ImagePositionPatient)],
        DerivationImageSequence=[derivation],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
    )
