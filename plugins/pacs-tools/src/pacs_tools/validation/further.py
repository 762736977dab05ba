"""Conditions of PS3.3 that its prose hides from what derives tables of it.

Only those are here that a dataset decides on by itself; whether contrast media was used, or the
patient is an animal, nothing in a file tells.
"""

from typing import Any, Final

from attrs import frozen

from pacs_core.dataset import keyword_of, tag_of

_MULTI_FRAME: Final = "-", f"{tag_of('SharedFunctionalGroupsSequence'):08X}", 0

_PAIRED: Final = (
    "ACJOINT", "ANKLE", "ARM", "AXILLA", "BREAST", "CALCANEUS", "CLAVICLE", "EAR", "ELBOW", "EYE",
    "FEMUR", "FINGER", "FOOT", "FOREARM", "FOREFOOT", "HAND", "HINDFOOT", "HIP", "HUMERUS", "KNEE",
    "LEG", "PATELLA", "RADIUS", "RADIUSULNA", "SCAPULA", "SHOULDER", "SIJOINT", "THIGH", "THUMB",
    "TIBIA", "TIBIAFIBULA", "TMJ", "TOE", "ULNA", "WRIST", "ZYGOMA",
)  # fmt: skip
"""Defined Terms of Body Part Examined for one of two (PS3.16 Annex L)."""


@frozen
class FurtherCondition:
    """When an attribute of Type 1C or 2C is required.

    Attributes
    ----------
    expression : list
        See :class:`pacs_tools.validation.tables.Condition`.
    unless : str
        Mandatory module with which an IOD does not require it.
    """

    expression: list[Any]
    unless: str = ""


def _absent(keyword: str) -> list[Any]:
    return ["-", f"{tag_of(keyword):08X}", 0]


def _has(keyword: str, *values: str) -> list[Any]:
    return ["has", f"{tag_of(keyword):08X}", 0, *values]


_BY_NAME: Final = {
    # PS3.3 C.7.3.1
    ("General Series", "Laterality"): FurtherCondition(
        ["and", _has("BodyPartExamined", *_PAIRED), _absent("ImageLaterality"),
         _absent("FrameLaterality"), _absent("MeasurementLaterality"), list(_MULTI_FRAME)]
    ),
    # PS3.3 C.7.6.1
    ("General Image", "PatientOrientation"): FurtherCondition(
        ["and", _absent("ImageOrientationPatient"), _absent("ImageOrientationSlide"),
         list(_MULTI_FRAME)], "Image Plane"
    ),
    # PS3.3 C.7.6.3
    ("Image Pixel", "ExtendedOffsetTableLengths"): FurtherCondition(
        ["+", f"{tag_of('ExtendedOffsetTable'):08X}", 0]
    ),
    # PS3.3 C.8.3.1
    ("MR Image", "InversionTime"): FurtherCondition(_has("ScanningSequence", "IR")),
    ("MR Image", "TriggerTime"): FurtherCondition(_has("ScanOptions", "CG", "PPG")),
    # PS3.3 C.8.4.8: what a vector needs
    **{
        ("NM Multi-frame", keyword): FurtherCondition(
            _has("FrameIncrementPointer", f"{tag_of(vector):08X}")
        )
        for vector, keywords in {
            "EnergyWindowVector": ("EnergyWindowVector",),
            "DetectorVector": ("DetectorVector",),
            "PhaseVector": ("PhaseVector", "NumberOfPhases"),
            "RotationVector": ("RotationVector",),
            "RRIntervalVector": ("RRIntervalVector", "NumberOfRRIntervals"),
            "TimeSlotVector": ("TimeSlotVector", "NumberOfTimeSlots"),
            "SliceVector": ("SliceVector", "NumberOfSlices"),
            "AngularViewVector": ("AngularViewVector",),
            "TimeSliceVector": ("TimeSliceVector",),
        }.items()
        for keyword in keywords
    },
}  # fmt: skip


def further_condition(module: str, tag: int) -> FurtherCondition | None:
    """Return the condition of an attribute in a module; None if none is known."""
    return _BY_NAME.get((module, keyword_of(tag)))
