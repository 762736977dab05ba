"""Profile and options of PS3.15 Annex E, and how they are named and coded (PS3.16 CID 7050)."""

from enum import StrEnum
from typing import Final

from attrs import frozen


class Option(StrEnum):
    """An option to the Basic Application Level Confidentiality Profile (PS3.15 E.3)."""

    CLEAN_PIXEL_DATA = "clean-pixel-data"
    CLEAN_VISUAL_FEATURES = "clean-visual-features"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    RETAIN_FULL_DATES = "retain-full-dates"
    RETAIN_MODIFIED_DATES = "retain-modified-dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_UIDS = "retain-uids"
    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"


@frozen
class MethodCode:
    """A code of CID 7050, De-identification Method; the scheme is DCM.

    Attributes
    ----------
    value : str
    meaning : str
    """

    value: str
    meaning: str


BASIC_PROFILE: Final = MethodCode("113100", "Basic Application Confidentiality Profile")

METHOD_CODES: Final = {
    Option.CLEAN_PIXEL_DATA: MethodCode("113101", "Clean Pixel Data Option"),
    Option.CLEAN_VISUAL_FEATURES: MethodCode("113102", "Clean Recognizable Visual Features Option"),
    Option.CLEAN_GRAPHICS: MethodCode("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: MethodCode("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: MethodCode("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: MethodCode(
        "113106", "Retain Longitudinal Temporal Information Full Dates Option"
    ),
    Option.RETAIN_MODIFIED_DATES: MethodCode(
        "113107", "Retain Longitudinal Temporal Information Modified Dates Option"
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: MethodCode(
        "113108", "Retain Patient Characteristics Option"
    ),
    Option.RETAIN_DEVICE_IDENTITY: MethodCode("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: MethodCode("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: MethodCode("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: MethodCode("113112", "Retain Institution Identity Option"),
}
