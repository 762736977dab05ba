"""Results of searches, completed with what the index does not have (PS3.18 §10.6.3)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pacs_core.contracts import Archive, Availability, Level, Query, UidList
from pacs_core.dataset import (
    Attributes,
    MutableAttributes,
    tag_of,
    texts,
)
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


async def find_availabilities(
    archive: Archive, matches: Sequence[Attributes], level: Level
) -> Sequence[Availability | None]:
    """Return how soon all instances of each result can be retrieved; None if it is not answered.

    It is one question for all of them.
    """
    if level not in _AVAILABLE or not matches:
        return [None] * len(matches)
    entities = [
        tuple(uid for tag in UIDS.values() for uid in texts(match, tag)[:1]) for match in matches
    ]
    query = Query(level, (UidList(UIDS[level], tuple(each[-1] for each in entities)),))
    return await archive.availabilities(query, entities)
