"""Samples of what is no image, or more than one: SR, SEG, RT, presentation states, documents."""

from collections.abc import Mapping
from typing import Final

from pacs_core.testing.sample_modules import (
    CT,
    FRAME,
    FRAME_OF_REFERENCE,
    IMAGE,
    PLANE,
    SampleKind,
    code,
)
from pacs_core.testing.sample_values import Given, Values


def _referenced_instance(**more: Given) -> Given:
    reference = {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "2.25.1"}
    return [{**reference, **more}]


_NOW: Final[Values] = {"ContentDate": "20240229", "ContentTime": "120000"}
_DOCUMENT: Final[Values] = {
    **_NOW,
    "ReferencedPerformedProcedureStepSequence": [],
    "ValueType": "CONTAINER",
    "ContinuityOfContent": "SEPARATE",
}
_CONTENT_LABEL: Final[Values] = {
    "ContentLabel": "SAMPLE",
    "ContentDescription": "",
    "ContentCreatorName": "",
}
_SERIES_EVIDENCE: Final[Given] = [
    {"SeriesInstanceUID": "2.25.3", "ReferencedSOPSequence": _referenced_instance()}
]
_EVIDENCE: Final[Given] = [
    {"StudyInstanceUID": "2.25.2", "ReferencedSeriesSequence": _SERIES_EVIDENCE}
]
_FRACTION: Final[Values] = {"OperatorsName": "", **FRAME}


DOCUMENTS: Final[Mapping[str, SampleKind]] = {
    "SR": SampleKind(
        "1.2.840.10008.5.1.4.1.1.88.11",
        {
            **_DOCUMENT,
            "CompletionFlag": "COMPLETE",
            "VerificationFlag": "UNVERIFIED",
            "PerformedProcedureCodeSequence": [],
            "ConceptNameCodeSequence": code("18748-4", "LN", "Diagnostic Imaging Report"),
            "ContentSequence": [
                {
                    "RelationshipType": "CONTAINS",
                    "ValueType": "TEXT",
                    "ConceptNameCodeSequence": code("121071", "DCM", "Finding"),
                    "TextValue": "A sample.",
                }
            ],
        },
    ),
    "SEG": SampleKind(
        "1.2.840.10008.5.1.4.1.1.66.4",
        {
            **IMAGE,
            **FRAME,
            **_CONTENT_LABEL,
            **_NOW,
            "ManufacturerModelName": "sample",
            "DeviceSerialNumber": "1",
            "SoftwareVersions": "1",
            "ImageType": ["DERIVED", "PRIMARY"],
            "BitsAllocated": "1",
            "BitsStored": "1",
            "HighBit": "0",
            "PixelData": b"\xa5\x5a",
            "LossyImageCompression": "00",
            "SegmentationType": "BINARY",
            "SegmentSequence": [
                {
                    "SegmentNumber": "1",
                    "SegmentLabel": "Liver",
                    "SegmentAlgorithmType": "MANUAL",
                    "SegmentedPropertyCategoryCodeSequence": code("123037004", "SCT", "Anatomy"),
                    "SegmentedPropertyTypeCodeSequence": code("10200004", "SCT", "Liver"),
                }
            ],
            "NumberOfFrames": "1",
            "DimensionOrganizationSequence": [{"DimensionOrganizationUID": "2.25.4"}],
            "DimensionIndexSequence": [
                {
                    "DimensionIndexPointer": "0062000B",
                    "FunctionalGroupPointer": "0062000A",
                    "DimensionOrganizationUID": "2.25.4",
                }
            ],
            "SharedFunctionalGroupsSequence": [
                {
                    "PixelMeasuresSequence": [{"PixelSpacing": ["1", "1"], "SliceThickness": "1"}],
                    "PlaneOrientationSequence": [
                        {"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
                    ],
                    "PlanePositionSequence": [{"ImagePositionPatient": ["0", "0", "0"]}],
                    "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": "1"}],
                }
            ],
            "PerFrameFunctionalGroupsSequence": [
                {"FrameContentSequence": [{"DimensionIndexValues": "1"}]}
            ],
        },
    ),
    "RTSTRUCT": SampleKind(
        "1.2.840.10008.5.1.4.1.1.481.3",
        {
            **_FRACTION,
            "StructureSetLabel": "SAMPLE",
            "StructureSetDate": "",
            "StructureSetTime": "",
            "StructureSetROISequence": [
                {
                    "ROINumber": "1",
                    "ReferencedFrameOfReferenceUID": FRAME_OF_REFERENCE,
                    "ROIName": "",
                    "ROIGenerationAlgorithm": "",
                }
            ],
            "ROIContourSequence": [{"ReferencedROINumber": "1"}],
            "RTROIObservationsSequence": [
                {
                    "ObservationNumber": "1",
                    "ReferencedROINumber": "1",
                    "RTROIInterpretedType": "",
                    "ROIInterpreter": "",
                }
            ],
            "ApprovalStatus": "UNAPPROVED",
        },
    ),
    "RTPLAN": SampleKind(
        "1.2.840.10008.5.1.4.1.1.481.5",
        {
            **_FRACTION,
            "RTPlanLabel": "SAMPLE",
            "RTPlanDate": "",
            "RTPlanTime": "",
            "RTPlanGeometry": "TREATMENT_DEVICE",
            "ApprovalStatus": "UNAPPROVED",
        },
    ),
    "RTDOSE": SampleKind(
        "1.2.840.10008.5.1.4.1.1.481.2",
        {
            **IMAGE,
            **PLANE,
            "OperatorsName": "",
            "BitsStored": "16",
            "HighBit": "15",
            "NumberOfFrames": "1",
            "FrameIncrementPointer": "3004000C",
            "GridFrameOffsetVector": "0",
            "DoseUnits": "GY",
            "DoseType": "PHYSICAL",
            "DoseSummationType": "MULTI_PLAN",
            "DoseGridScaling": "0.001",
        },
    ),
    "KO": SampleKind(
        "1.2.840.10008.5.1.4.1.1.88.59",
        {
            **_DOCUMENT,
            "ConceptNameCodeSequence": code("113000", "DCM", "Of Interest"),
            "CurrentRequestedProcedureEvidenceSequence": _EVIDENCE,
            "ContentSequence": [
                {
                    "RelationshipType": "CONTAINS",
                    "ValueType": "IMAGE",
                    "ReferencedSOPSequence": _referenced_instance(),
                }
            ],
        },
    ),
    "PR": SampleKind(
        "1.2.840.10008.5.1.4.1.1.11.1",
        {
            **_CONTENT_LABEL,
            "PresentationCreationDate": "20240229",
            "PresentationCreationTime": "120000",
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": "2.25.3", "ReferencedImageSequence": _referenced_instance()}
            ],
            "DisplayedAreaSelectionSequence": [
                {
                    "DisplayedAreaTopLeftHandCorner": ["1", "1"],
                    "DisplayedAreaBottomRightHandCorner": ["4", "4"],
                    "PresentationSizeMode": "SCALE TO FIT",
                    "PresentationPixelAspectRatio": ["1", "1"],
                }
            ],
            "PresentationLUTShape": "IDENTITY",
        },
    ),
    "ECG": SampleKind(
        "1.2.840.10008.5.1.4.1.1.9.1.1",
        {
            **_NOW,
            "AcquisitionDateTime": "20240229120000",
            "AcquisitionContextSequence": [],
            "WaveformSequence": [
                {
                    "WaveformOriginality": "ORIGINAL",
                    "NumberOfWaveformChannels": "1",
                    "NumberOfWaveformSamples": "4",
                    "SamplingFrequency": "500",
                    "ChannelDefinitionSequence": [
                        {
                            "ChannelSourceSequence": code("2:1", "MDC", "Lead I"),
                            "ChannelSampleSkew": "0",
                            "WaveformBitsStored": "16",
                        }
                    ],
                    "WaveformBitsAllocated": "16",
                    "WaveformSampleInterpretation": "SS",
                    "WaveformData": b"\x00\x00\x10\x00\x20\x00\xf0\xff",
                }
            ],
        },
    ),
    "PDF": SampleKind(
        "1.2.840.10008.5.1.4.1.1.104.1",
        {
            **_NOW,
            "ConversionType": "WSD",
            "AcquisitionDateTime": "",
            "BurnedInAnnotation": "YES",
            "DocumentTitle": "",
            "ConceptNameCodeSequence": [],
            "EncapsulatedDocument": b"%PDF-1.7\n%%EOF\n",
            "MIMETypeOfEncapsulatedDocument": "application/pdf",
        },
        modality="DOC",
    ),
}
