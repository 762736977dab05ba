"""Modules of attributes that sample datasets have in common.

Only what the Information Object Definitions of PS3.3 demand (types 1 and 2) is there, with values
as small as they may be. Values are written as in :mod:`pacs_core.testing.sample_values`.
"""

from typing import Final

from attrs import frozen

from pacs_core.testing.sample_values import Given, Values


@frozen
class SampleKind:
    """What a modality's instances are: a SOP class, a modality, and attributes."""

    sop_class_uid: str
    values: Values
    modality: str = ""


FRAME_OF_REFERENCE: Final = "1.2.826.0.1.3680043.8.498.1"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"


def code(value: str, scheme: str, meaning: str) -> Given:
    """Return the one item of a code sequence (PS3.3 Table 8.8-1)."""
    return [{"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}]


COMMON: Final[Values] = {
    "PatientName": "Sample^Sally",
    "PatientID": "SAMPLE",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "StudyDate": "20240229",
    "StudyTime": "120000",
    "ReferringPhysicianName": "",
    "StudyID": "1",
    "AccessionNumber": "A1",
    "SeriesNumber": "1",
    "Manufacturer": "pacs-core",
    "InstanceNumber": "1",
}
"""Patient, General Study, General Series and General Equipment (PS3.3 C.7.1 to C.7.5)."""

IMAGE: Final[Values] = {
    "PatientOrientation": "",
    "SamplesPerPixel": "1",
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": "4",
    "Columns": "4",
    "BitsAllocated": "16",
    "BitsStored": "12",
    "HighBit": "11",
    "PixelRepresentation": "0",
    "PixelData": b"".join(value.to_bytes(2, "little") for value in range(0, 4096, 256)),
}
"""General Image and Image Pixel (PS3.3 C.7.6.1, C.7.6.3): a ramp of 4 x 4 pixels."""

FRAME: Final[Values] = {
    "FrameOfReferenceUID": FRAME_OF_REFERENCE,
    "PositionReferenceIndicator": "",
}
PLANE: Final[Values] = {
    **FRAME,
    "PixelSpacing": ["1", "1"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "ImagePositionPatient": ["0", "0", "0"],
    "SliceThickness": "1",
}
