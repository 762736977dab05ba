"""Attributes of a dataset: their VRs, and what the standard does not tell about them by name."""

from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

TEXT_VRS: Final = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""What may hold anything that somebody typed; code strings may not."""

TEMPORAL_VRS: Final = frozenset({"DA", "DT", "TM"})

MOST: Final = {"AE": 16, "LO": 64, "SH": 16}
"""Characters that a value has at most (PS3.5 §6.2)."""

_OF_CODES: Final = frozenset({0x0008_0100, 0x0008_0103, 0x0008_0119, 0x0008_0120})
"""Code Value, Coding Scheme Version, Long and URN Code Value (PS3.3 §8.8)."""

_NOT_OF_INSTANCES: Final = (
    "ClassUID",
    "ClassesUID",
    "SchemeUID",
    "SyntaxUID",
    "ContextUID",
    "ResourceUID",
    "ClassesInStudy",
    "ClassesSupported",
)
"""Ends of keywords of UIDs that name what is the same for everybody."""


def known_vr(tag: int, raw_vr: str | None) -> str | None:
    """Return the VR of a standard attribute, None if the dictionary does not have it.

    Parameters
    ----------
    tag : int
    raw_vr : str or None
        As the dataset says: it decides only where the dictionary leaves a choice.
    """
    if not dictionary_has_tag(tag) and not 0x5000_0000 <= tag < 0x6100_0000:
        return None
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return None
    if " or " not in vr:
        return vr
    return raw_vr if raw_vr and raw_vr in vr else vr.partition(" or ")[0]


def is_of_instance(tag: int) -> bool:
    """Whether a UID attribute names an instance, or something else of a patient or a device."""
    return not dictionary_keyword(tag).endswith(_NOT_OF_INSTANCES)


def is_public_code(dataset: Dataset, tag: int) -> bool:
    """Whether an attribute is a code, or the version of its scheme, which is not a private one.

    Designators of private coding schemes begin with 99 (PS3.16 §8.2).
    """
    scheme = str(dataset.get("CodingSchemeDesignator", "") or "")
    return tag in _OF_CODES and bool(scheme) and not scheme.startswith("99")


def is_well_known(uid: str) -> bool:
    """Whether the standard defines a UID (PS3.6 Annex A)."""
    return uid in UID_dictionary


def raw_vr(dataset: Dataset, tag: int) -> str | None:
    """Return the VR with which an element was read."""
    element = dataset.get_item(tag)
    return element.VR if isinstance(element, RawDataElement) else str(element.VR)


def values_of(value: object) -> list[str]:
    """Return the values of an element as text."""
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return [str(value)]
    if hasattr(value, "components"):  # a name
        return [str(value)]
    return [str(each) for each in value]


def tag_text(tag: int) -> str:
    """Return a tag as people write it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
