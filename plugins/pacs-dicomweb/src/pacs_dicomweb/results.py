"""Results of searches, as DICOM JSON and Native DICOM XML (PS3.18 Annex F, PS3.19 A.1)."""

from collections.abc import Iterable, Mapping
from typing import Final

from pacs_core.contracts import Archive, Availability, Level, Query, SingleValue
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    MutableAttributes,
    UnencodableValue,
    encode_attributes,
    read_elements,
    tag_of,
    texts,
)
from pacs_core.dataset.json_model import attributes_json
from pacs_core.dataset.xml_model import write_xml
from pacs_dicomweb.search import UIDS
from pacs_dicomweb.service import Resource

_RETRIEVE_URL: Final = tag_of("RetrieveURL")
_AVAILABILITY: Final = tag_of("InstanceAvailability")
_REQUESTS: Final = tag_of("RequestAttributesSequence")
_NO_IDS: Final[Attributes] = {
    tag_of("ScheduledProcedureStepID"): (),
    tag_of("RequestedProcedureID"): (),
}
"""What each of its items has, known or not (PS3.18 Table 10.6.3-4)."""

_AVAILABLE: Final = frozenset({Level.STUDY, Level.IMAGE})
"""Levels whose tables have Instance Availability (PS3.18 Tables 10.6.3-3 and 10.6.3-5)."""


def complete_result(
    match: Attributes, empty: Iterable[int], service: str, availability: Availability | None
) -> MutableAttributes:
    """Return a result of a search as it is answered.

    Parameters
    ----------
    match : Attributes
        What the index gave.
    empty : iterable of int
        Tags that are given even without a value.
    service : str
        URL of the service.
    availability : Availability or None
        How soon it can be retrieved, where that is answered.
    """
    found: MutableAttributes = dict.fromkeys(empty, ())
    found |= {tag: values for tag, values in match.items() if any(values) or tag in found}
    if requests := found.get(_REQUESTS):
        found[_REQUESTS] = tuple(
            {**_NO_IDS, **each} for each in requests if isinstance(each, Mapping)
        )
    uids = [uid for tag in UIDS.values() for uid in texts(match, tag)[:1]]
    found[_RETRIEVE_URL] = (f"{service}{Resource(*uids).path}",)
    if availability is not None:
        found[_AVAILABILITY] = (availability.value,)
    return found


async def find_availability(
    archive: Archive, match: Attributes, level: Level
) -> Availability | None:
    """Return how soon all instances of a result can be retrieved; None if it is not answered."""
    if level not in _AVAILABLE:
        return None
    uids = [(tag, uid) for tag in UIDS.values() for uid in texts(match, tag)[:1]]
    return await archive.availability(Query(level, tuple(SingleValue(*each) for each in uids)))


def as_json(results: Iterable[Attributes]) -> bytes:
    """Return an array of DICOM JSON Model objects (PS3.18 F.2.1)."""
    return f"[{','.join(map(attributes_json, results))}]".encode("utf-8", "replace")


def as_xml(attributes: Attributes) -> bytes:
    """Return a Native DICOM Model; what cannot be encoded in its VR is left out."""
    try:
        encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))
    except UnencodableValue:
        attributes = {
            tag: values for tag, values in attributes.items() if _is_encodable(tag, values)
        }
        encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))
    return "".join(write_xml(read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN))).encode(
        "utf-8", "replace"
    )


def _is_encodable(tag: int, values: tuple[object, ...]) -> bool:
    try:
        encode_attributes({tag: values}, EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))  # type: ignore[dict-item]
    except UnencodableValue:
        return False
    return True


def as_json_object(attributes: Attributes) -> bytes:
    """Return a DICOM JSON Model object."""
    return attributes_json(attributes).encode("utf-8", "replace")
