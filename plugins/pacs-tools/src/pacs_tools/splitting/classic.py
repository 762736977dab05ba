"""Attributes of a frame, as the single-frame IOD of its modality has them.

What a multi-frame image says of a frame is spread over the dataset, the shared and the per-frame
functional groups (PS3.3 C.7.6.16). A group is a sequence of one item, whose attributes stand in the
dataset itself in a single-frame image: those of a frame go before those of all, and both before
those of the dataset. Where the single-frame IOD has another attribute for the same (PS3.3 C.8.2.1,
C.8.3.1), that is set. All others stay as well, as those of a Standard Extended SOP Class (PS3.2
§3.11): a b-value that has no place in the MR Image IOD is not lost. What has no single meaning for
one frame is refused by name.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
CT, MR, PET, SC = (_STORAGE + end for end in ("2", "4", "128", "7"))
TARGETS: Final = {
    _STORAGE + source: target
    for target, sources in (
        (CT, ("2.1", "2.2")), (MR, ("4.1", "4.4")), (PET, ("130", "128.1")),
        (SC, ("7.2", "7.3", "7.4")),
    )
    for source in sources
}  # fmt: skip
"""SOP Classes of single-frame images by those of multi-frame ones (PS3.4 B.5)."""

_OF_ALL_FRAMES: Final = (
    "NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence", "DimensionOrganizationType", "DimensionIndexSequence",
    "ConcatenationUID", "SOPInstanceUIDOfConcatenationSource", "InConcatenationNumber",
    "InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber", "FrameIncrementPointer",
    "FrameTime", "FrameTimeVector", "PageNumberVector", "FrameLabelVector",
    "FramePrimaryAngleVector", "FrameSecondaryAngleVector", "SliceLocationVector",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "DigitalSignaturesSequence", "MACParametersSequence", "IconImageSequence",
)  # fmt: skip
"""What a single-frame image does not have, or has no right to have any more."""

_SEQUENCES: Final = frozenset({"ReferencedImageSequence", "RealWorldValueMappingSequence"})
"""Functional groups that stand in the dataset as they are (PS3.3 C.7.6.1, C.7.6.16.2.11)."""

_LEFT_OUT: Final = frozenset({"ConversionSourceAttributesSequence"})
"""What an image was before it became a frame: its UIDs are those of others."""

_RENAMED: Final = {
    "FrameType": "ImageType", "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameComments": "ImageComments", "FrameLaterality": "ImageLaterality",
    "EffectiveEchoTime": "EchoTime",
}  # fmt: skip
_ROUNDED: Final = {
    CT: {
        "ExposureTimeInms": "ExposureTime", "XRayTubeCurrentInmA": "XRayTubeCurrent",
        "ExposureInmAs": "Exposure",
    },
    PET: {"FrameAcquisitionDuration": "ActualFrameDuration"},
}  # fmt: skip
"""Numbers that single-frame images have as integers (PS3.3 C.8.2.1, C.8.9.4)."""

_TYPE_2: Final = {
    CT: ("KVP", "AcquisitionNumber", "PositionReferenceIndicator"),
    MR: ("ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime",
         "PositionReferenceIndicator"),
    PET: ("PositionReferenceIndicator", "ActualFrameDuration", "CollimatorType",
          "RadiopharmaceuticalInformationSequence", "PatientOrientationCodeSequence",
          "PatientGantryRelationshipCodeSequence"),
    SC: ("PatientOrientation",),
}  # fmt: skip

_VARIANTS: Final = (
    ("SegmentedKSpaceTraversal", "SINGLE", "SK"), ("SteadyStatePulseSequence", "NONE", "SS"),
    ("Spoiling", "NONE", "SP"), ("MagnetizationTransfer", "NONE", "MTC"),
    ("OversamplingPhase", "NONE", "OSP"),
)  # fmt: skip
"""Attribute, the value that says no, and that of Sequence Variant (0018,0021)."""


class CannotSplitError(ValueError):
    """An image has what single-frame images cannot have."""


def make_frame(dataset: "Dataset", number: int) -> "Dataset":
    """Return the dataset of a frame, without UIDs of its own, and without pixels.

    Parameters
    ----------
    dataset : Dataset
        Of the multi-frame image.
    number : int
        Of the frame, from 0.

    Raises
    ------
    CannotSplitError
        It has no place for something.
    """
    from pydicom.dataset import Dataset

    target = TARGETS[str(dataset.SOPClassUID)]
    # Only what stays is copied: there may be thousands of frames.
    made = Dataset()
    made.update(
        {each.tag: deepcopy(each) for each in dataset if each.keyword not in _OF_ALL_FRAMES}
    )
    made.file_meta = deepcopy(dataset.file_meta)
    for group in _groups(dataset, number):
        _flatten(group, made)
    made.pop("DimensionIndexValues", None)
    for old, new in _RENAMED.items():
        if made.get(old) not in (None, ""):
            setattr(made, new, made[old].value)
        made.pop(old, None)
    if moment := str(made.get("FrameAcquisitionDateTime") or ""):
        made.AcquisitionDateTime = moment
        made.AcquisitionDate, made.AcquisitionTime = moment[:8], re.split("[+-]", moment[8:])[0]
    for old, new in _ROUNDED.get(target, {}).items():
        if made.get(old) is not None and new not in made:
            setattr(made, new, round(made[old].value))
    if target == MR and "ScanningSequence" not in made:
        _describe_sequence(made)
    for keyword in _TYPE_2[target]:
        if keyword not in made:
            setattr(made, keyword, None)
    made.SOPClassUID = target
    made.InstanceNumber = number + 1
    return made


def _groups(dataset: "Dataset", number: int) -> "Iterator[Dataset]":
    """Iterate over functional groups: those of all frames, then those of one."""
    yield from dataset.get("SharedFunctionalGroupsSequence") or ()
    frames = dataset.get("PerFrameFunctionalGroupsSequence")
    if frames is None:
        return
    if number >= len(frames):
        raise CannotSplitError(f"frame {number + 1} has no item in the functional groups")
    yield frames[number]


def _flatten(group: "Dataset", made: "Dataset") -> None:
    for element in group:
        if element.keyword in _LEFT_OUT:
            continue
        if element.tag.is_private:
            if element.tag in made and made[element.tag] != element:
                raise CannotSplitError(f"{element.tag} is private, in the dataset and in a group")
            made[element.tag] = deepcopy(element)
        elif element.VR != "SQ" or element.keyword in _SEQUENCES:
            made[element.tag] = deepcopy(element)
        elif len(element.value) > 1:
            raise CannotSplitError(
                f"{element.keyword} has {len(element.value)} items, and a single-frame image room "
                "for one"
            )
        else:
            for item in element.value:
                made.update(deepcopy(item))


def _describe_sequence(made: "Dataset") -> None:
    """Set what the MR Image Module says of the pulse sequence (PS3.3 C.8.3.1.1)."""
    echo = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
    kinds = list(echo.get(str(made.get("EchoPulseSequence") or ""), ()))
    kinds += ["IR"] if made.get("InversionRecovery") == "YES" else []
    kinds += ["EP"] if made.get("EchoPlanarPulseSequence") == "YES" else []
    made.ScanningSequence = kinds or ["RM"]
    if "IR" in kinds and "InversionTime" not in made:
        times = made.get("InversionTimes")
        # Of several there is none that would be the one.
        made.InversionTime = times if isinstance(times, float) else None
    said = [(made.get(keyword), no, code) for keyword, no, code in _VARIANTS]
    made.SequenceVariant = [code for value, no, code in said if value and value != no] or ["NONE"]
