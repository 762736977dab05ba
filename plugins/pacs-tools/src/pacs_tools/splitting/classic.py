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
from typing import Final

from attrs import evolve

from pacs_core.dataset import (
    BULK_VRS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    DataElement,
    ElementSet,
    MutableAttributes,
    encode_attributes,
    encode_value,
    keyword_of,
    read_elements,
    tag_of,
    vr_of,
)
from pacs_tools.splitting.nuclear import pick_nuclear_frame
from pacs_tools.splitting.pulse_sequences import describe_sequence
from pacs_tools.splitting.vectors import pick_frame

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
CT, MR, PET, SC, US, XA, XRF, RT_IMAGE, RT_DOSE, NM = (
    _STORAGE + end for end in ("2", "4", "128", "7", "6.1", "12.1", "12.2", "481.1", "481.2", "20")
)
TARGETS: Final = {
    _STORAGE + source: target
    for target, sources in (
        (CT, ("2.1", "2.2")), (MR, ("4.1", "4.4")), (PET, ("130", "128.1")),
        (SC, ("7", "7.1", "7.2", "7.3", "7.4")), (US, ("3.1", "6.1", "6.2")),
        (XA, ("12.1.1", "12.1")), (XRF, ("12.2.1", "12.2")),
        (RT_IMAGE, ("481.1",)), (RT_DOSE, ("481.2",)), (NM, ("20",)),
    )
    for source in sources
}  # fmt: skip
"""SOP Classes of single-frame images by those of multi-frame ones (PS3.4 B.5).

Those of angiography, radiotherapy and nuclear medicine may have one frame or several; some devices
write several frames as Secondary Capture and US Images, which may not.
"""

_OF_ALL_FRAMES: Final = frozenset(map(tag_of, (
    "NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence", "DimensionOrganizationType", "DimensionIndexSequence",
    "ConcatenationUID", "SOPInstanceUIDOfConcatenationSource", "InConcatenationNumber",
    "InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber", "FrameIncrementPointer",
    "FrameTime", "FrameTimeVector", "PageNumberVector", "FrameLabelVector",
    "FramePrimaryAngleVector", "FrameSecondaryAngleVector", "SliceLocationVector",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "DigitalSignaturesSequence", "MACParametersSequence", "IconImageSequence",
)))  # fmt: skip
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
_EXPOSURE: Final = {
    "ExposureTimeInms": "ExposureTime", "XRayTubeCurrentInmA": "XRayTubeCurrent",
    "ExposureInmAs": "Exposure",
}  # fmt: skip
_ROUNDED: Final = {
    CT: _EXPOSURE, XA: _EXPOSURE, XRF: _EXPOSURE,
    PET: {"FrameAcquisitionDuration": "ActualFrameDuration"},
}  # fmt: skip
"""Numbers that single-frame images have as integers (PS3.3 C.8.2.1, C.8.9.4)."""

_TYPE_2: Final = {
    CT: ("KVP", "AcquisitionNumber", "PositionReferenceIndicator"),
    MR: ("MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime",
         "PositionReferenceIndicator"),
    PET: ("PositionReferenceIndicator", "ActualFrameDuration", "CollimatorType",
          "RadiopharmaceuticalInformationSequence", "PatientOrientationCodeSequence",
          "PatientGantryRelationshipCodeSequence"),
    SC: ("PatientOrientation",), US: ("PatientOrientation",), XRF: ("KVP", "PatientOrientation"),
    XA: ("KVP", "PatientOrientation", "PositionerPrimaryAngle", "PositionerSecondaryAngle"),
    NM: ("PatientOrientation",), RT_IMAGE: (), RT_DOSE: (),
}  # fmt: skip

_REGION_TYPES: Final = {
    "TISSUE_INTENSITY": "1", "FLOW_VELOCITY": "2", "FLOW_POWER": "2", "FLOW_VARIANCE": "2",
}  # fmt: skip
"""Region Data Type (0018,6014), tissue or flow in colour, by Data Type (0018,9808)."""

_CENTIMETRES: Final = "3"

_GROUPS: Final = (
    tag_of("SharedFunctionalGroupsSequence"), tag_of("PerFrameFunctionalGroupsSequence"),
)  # fmt: skip
_SOP_CLASS: Final = tag_of("SOPClassUID")
_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
_FIRST_PIXELS: Final = 0x7FE0_0000
_LONGEST_DECIMAL: Final = 16
"""Characters of a value of VR DS (PS3.5 §6.2)."""

_WITHOUT_TEXT: Final = BULK_VRS | {"AT", "FD", "FL", "SL", "SQ", "SS", "SV", "UL", "US", "UV"}


class CannotSplitError(ValueError):
    """An image has what single-frame images cannot have."""


class Frame:
    """The dataset of a frame as it is made: without UIDs of its own, and without pixels.

    Parameters
    ----------
    elements : ElementSet
        Of the multi-frame image; what stays is shared with it.

    Attributes
    ----------
    elements : dict of int to DataElement
    """

    def __init__(self, elements: ElementSet) -> None:
        self.character_sets = elements.character_sets
        self.elements = {
            tag: element
            for tag, element in elements.elements.items()
            if tag < _FIRST_PIXELS and tag not in _OF_ALL_FRAMES
        }

    @property
    def whole(self) -> ElementSet:
        """What it has by now."""
        return ElementSet(self.elements, self.character_sets)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute; none if it has none."""
        return self.whole.texts(tag_of(keyword))

    def text(self, keyword: str) -> str:
        """Return the value of an attribute that has one."""
        return "\\".join(self.texts(keyword))

    def set(self, keyword: str, *values: str) -> None:
        """Give an attribute values."""
        tag = tag_of(keyword)
        vr = vr_of(tag)
        if vr == "DS":
            values = tuple(map(_shorten, values))
        value = () if vr == "SQ" else encode_value(vr, values, self.character_sets)
        self.elements[tag] = DataElement(tag, vr, value)

    def adopt(self, element: DataElement, character_sets: tuple[str, ...]) -> None:
        """Take an element of another dataset, whose text may be in other character sets."""
        if element.tag == _CHARACTER_SET:
            return
        if character_sets != self.character_sets and element.vr not in _WITHOUT_TEXT:
            texts = ElementSet({element.tag: element}, character_sets).texts(element.tag)
            element = evolve(element, value=encode_value(element.vr, texts, self.character_sets))
        self.elements[element.tag] = element


def _shorten(number: str) -> str:
    """Return a number with as many digits as have room."""
    for digits in range(_LONGEST_DECIMAL, 0, -1):
        if len(number) <= _LONGEST_DECIMAL:
            break
        number = f"{float(number):.{digits}g}"
    return number


def make_frame(elements: ElementSet, number: int) -> Frame:
    """Return the dataset of a frame.

    Parameters
    ----------
    elements : ElementSet
        Of the multi-frame image.
    number : int
        Of the frame, from 0.

    Raises
    ------
    CannotSplitError
        It has no place for something.
    """
    target = TARGETS[elements.texts(_SOP_CLASS)[0]]
    made = Frame(elements)
    pick_frame(made, number)
    if target == NM:
        pick_nuclear_frame(made, elements, number)
    for group in _groups(elements, number):
        _flatten(group, made)
    made.elements.pop(tag_of("DimensionIndexValues"), None)
    for old, new in _RENAMED.items():
        if values := made.texts(old):
            made.set(new, *values)
        made.elements.pop(tag_of(old), None)
    if moment := made.text("FrameAcquisitionDateTime"):
        made.set("AcquisitionDateTime", moment)
        made.set("AcquisitionDate", moment[:8])
        made.set("AcquisitionTime", re.split("[+-]", moment[8:])[0])
    for old, new in _ROUNDED.get(target, {}).items():
        if made.texts(old) and tag_of(new) not in made.elements:
            made.set(new, str(round(float(made.text(old)))))
    if target == MR:
        describe_sequence(made)
    if target == US:
        _describe_region(made)
    for keyword in _TYPE_2[target]:
        if tag_of(keyword) not in made.elements:
            made.set(keyword)
    made.set("SOPClassUID", target)
    made.set("InstanceNumber", str(number + 1))
    return made


def _groups(elements: ElementSet, number: int) -> Iterator[ElementSet]:
    """Iterate over functional groups: those of all frames, then those of one."""
    shared, own = (elements.elements.get(tag) for tag in _GROUPS)
    yield from shared.items if shared is not None else ()
    if own is None:
        return
    if number >= len(own.items):
        raise CannotSplitError(f"frame {number + 1} has no item in the functional groups")
    yield own.items[number]


def _flatten(group: ElementSet, made: Frame) -> None:
    for element in group:
        tag, keyword = element.tag, keyword_of(element.tag)
        if keyword in _LEFT_OUT:
            continue
        if tag >> 16 & 1:
            if made.elements.get(tag, element) != element:
                shown = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
                raise CannotSplitError(f"{shown} is private, in the dataset and in a group")
            made.adopt(element, group.character_sets)
        elif element.vr != "SQ" or keyword in _SEQUENCES:
            made.adopt(element, group.character_sets)
        elif len(element.items) > 1:
            raise CannotSplitError(
                f"{keyword} has {len(element.items)} items, and a single-frame image room for one"
            )
        else:
            for item in element.items:
                for each in item:
                    made.adopt(each, item.character_sets)


def _describe_region(made: Frame) -> None:
    """Set how large pixels are, which an Ultrasound Image says of regions (PS3.3 C.8.5.5)."""
    spacing, kind = made.texts("PixelSpacing"), _REGION_TYPES.get(made.text("DataType"))
    region = tag_of("SequenceOfUltrasoundRegions")
    if len(spacing) != 2 or kind is None or region in made.elements:
        return
    last = [str(int(made.text(keyword)) - 1) for keyword in ("Columns", "Rows")]
    values = {
        "RegionSpatialFormat": "1", "RegionDataType": kind, "RegionFlags": "0",
        "RegionLocationMinX0": "0", "RegionLocationMinY0": "0",
        "RegionLocationMaxX1": last[0], "RegionLocationMaxY1": last[1],
        "PhysicalUnitsXDirection": _CENTIMETRES, "PhysicalUnitsYDirection": _CENTIMETRES,
        "PhysicalDeltaX": str(float(spacing[1]) / 10),
        "PhysicalDeltaY": str(float(spacing[0]) / 10),
    }  # fmt: skip
    item: MutableAttributes = {tag_of(keyword): (value,) for keyword, value in values.items()}
    encoded = encode_attributes(item, EXPLICIT_VR_LITTLE_ENDIAN)
    items = (read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN),)
    made.elements[region] = DataElement(region, "SQ", items)
