"""Sample images, by modality (PS3.3 A.2 to A.26)."""

from collections.abc import Mapping
from typing import Final

from pacs_core.testing.sample_modules import CT, FRAME, IMAGE, PLANE, SampleKind, code
from pacs_core.testing.sample_values import Values

_IMAGE_8_BIT: Final[Values] = {
    **IMAGE,
    "BitsAllocated": "8",
    "BitsStored": "8",
    "HighBit": "7",
    "PixelData": bytes(range(0, 256, 16)),
}
_ORIGINAL: Final[Values] = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}
_RESCALE: Final[Values] = {"RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "US"}
_PROJECTION: Final[Values] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
    "PixelIntensityRelationship": "LIN",
    "KVP": "",
    "RadiationSetting": "GR",
    "XRayTubeCurrent": "",
    "ExposureTime": "",
    "Exposure": "",
}
_DIGITAL_X_RAY: Final[Values] = {
    **IMAGE,
    **_RESCALE,
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "PresentationIntentType": "FOR PRESENTATION",
    "PatientOrientation": ["A", "F"],
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": "1",
    "PresentationLUTShape": "IDENTITY",
    "WindowCenter": "2048",
    "WindowWidth": "4096",
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
    "DetectorType": "DIRECT",
    "ImagerPixelSpacing": ["0.1", "0.1"],
    "AcquisitionContextSequence": [],
}
_NUCLEAR: Final[Values] = {
    "PatientOrientationCodeSequence": code("102538003", "SCT", "recumbent"),
    "PatientGantryRelationshipCodeSequence": code("102540001", "SCT", "headfirst"),
    "RadiopharmaceuticalInformationSequence": [],
}
IMAGES: Final[Mapping[str, SampleKind]] = {
    "CT": SampleKind(
        CT,
        {**IMAGE, **PLANE, **_ORIGINAL, **_RESCALE, "KVP": "", "AcquisitionNumber": ""},
    ),
    "MR": SampleKind(
        "1.2.840.10008.5.1.4.1.1.4",
        {
            **IMAGE,
            **PLANE,
            **_ORIGINAL,
            "ScanningSequence": "SE",
            "SequenceVariant": "NONE",
            "ScanOptions": "",
            "MRAcquisitionType": "2D",
            "RepetitionTime": "500",
            "EchoTime": "20",
            "EchoTrainLength": "1",
        },
    ),
    "CR": SampleKind(
        "1.2.840.10008.5.1.4.1.1.1", {**IMAGE, "BodyPartExamined": "", "ViewPosition": ""}
    ),
    "DX": SampleKind(
        "1.2.840.10008.5.1.4.1.1.1.1",
        {
            **_DIGITAL_X_RAY,
            "ImageLaterality": "U",
            "AnatomicRegionSequence": code("51185008", "SCT", "Chest"),
        },
    ),
    "MG": SampleKind(
        "1.2.840.10008.5.1.4.1.1.1.2",
        {
            **_DIGITAL_X_RAY,
            "ImageLaterality": "R",
            "OrganExposed": "BREAST",
            "PositionerType": "MAMMOGRAPHIC",
            "BreastImplantPresent": "NO",
            "AnatomicRegionSequence": code("76752008", "SCT", "Breast"),
            "ViewCodeSequence": [
                {
                    "CodeValue": "399162004",
                    "CodingSchemeDesignator": "SCT",
                    "CodeMeaning": "cranio-caudal",
                    "ViewModifierCodeSequence": [],
                }
            ],
        },
    ),
    "US": SampleKind(
        "1.2.840.10008.5.1.4.1.1.6.1", {**_IMAGE_8_BIT, "ImageType": ["ORIGINAL", "PRIMARY"]}
    ),
    "NM": SampleKind(
        "1.2.840.10008.5.1.4.1.1.20",
        {
            **IMAGE,
            **FRAME,
            **_NUCLEAR,
            "ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"],
            "PixelSpacing": ["1", "1"],
            "NumberOfFrames": "1",
            "FrameIncrementPointer": ["00540010", "00540020"],
            "EnergyWindowVector": "1",
            "NumberOfEnergyWindows": "1",
            "DetectorVector": "1",
            "NumberOfDetectors": "1",
            "CountsAccumulated": "",
            "EnergyWindowInformationSequence": [],
            "DetectorInformationSequence": [],
        },
    ),
    "PT": SampleKind(
        "1.2.840.10008.5.1.4.1.1.128",
        {
            **IMAGE,
            **PLANE,
            **_NUCLEAR,
            **_ORIGINAL,
            "SeriesDate": "20240229",
            "SeriesTime": "120000",
            "AcquisitionDate": "20240229",
            "AcquisitionTime": "120000",
            "Units": "BQML",
            "CountsSource": "EMISSION",
            "SeriesType": ["STATIC", "IMAGE"],
            "NumberOfSlices": "1",
            "CorrectedImage": "",
            "DecayCorrection": "NONE",
            "CollimatorType": "NONE",
            "FrameReferenceTime": "0",
            "ActualFrameDuration": "1000",
            "RescaleIntercept": "0",
            "RescaleSlope": "1",
            "ImageIndex": "1",
        },
    ),
    "XA": SampleKind(
        "1.2.840.10008.5.1.4.1.1.12.1",
        {
            **_IMAGE_8_BIT,
            **_PROJECTION,
            "PositionerPrimaryAngle": "",
            "PositionerSecondaryAngle": "",
        },
    ),
    "RF": SampleKind("1.2.840.10008.5.1.4.1.1.12.2", {**_IMAGE_8_BIT, **_PROJECTION}),
}
