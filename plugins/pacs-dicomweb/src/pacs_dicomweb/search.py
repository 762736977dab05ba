"""Searches: the resources, what each answers with (PS3.18 §10.6.3.3), and their queries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import (
    Archive,
    Condition,
    InvalidKeyError,
    KeyMatching,
    Level,
    Query,
    SingleValue,
)
from pacs_core.dataset import keyword_of, tag_of
from pacs_dicomweb.search_parameters import InvalidParameterError, SearchParameters


def _tags(keywords: str) -> frozenset[int]:
    return frozenset(map(tag_of, keywords.split()))


REQUIRED: Final[Mapping[Level, frozenset[int]]] = {
    Level.STUDY: _tags(
        "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName "
        "TimezoneOffsetFromUTC PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID "
        "StudyID NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances"
    ),
    Level.SERIES: _tags(
        "Modality TimezoneOffsetFromUTC SeriesDescription SeriesInstanceUID SeriesNumber "
        "NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate "
        "PerformedProcedureStepStartTime RequestAttributesSequence"
    ),
    Level.IMAGE: _tags(
        "SOPClassUID SOPInstanceUID TimezoneOffsetFromUTC InstanceNumber Rows Columns "
        "BitsAllocated NumberOfFrames"
    ),
}
"""Attributes of Tables 10.6.3-3 to 10.6.3-5 that an index holds.

Instance Availability and Retrieve URL are added to results; a Specific Character Set is not, since
JSON and XML are in UTF-8.
"""

CONDITIONAL: Final = _tags(
    "TimezoneOffsetFromUTC SeriesDescription PerformedProcedureStepStartDate "
    "PerformedProcedureStepStartTime RequestAttributesSequence Rows Columns BitsAllocated "
    "NumberOfFrames"
)
"""Those of them that are present only if known; others are there without a value."""

NEVER_EMPTY: Final = _tags("ModalitiesInStudy")
"""Left out without a value, even if asked for: OHIF shows no study where one has it empty."""

TRANSFER_SYNTAXES: Final = tag_of("AvailableTransferSyntaxUID")
_ADDED: Final = _tags("InstanceAvailability RetrieveURL SpecificCharacterSet") | {TRANSFER_SYNTAXES}
"""What no index holds, and results have, or have no need of."""

UIDS: Final = {
    Level.STUDY: tag_of("StudyInstanceUID"),
    Level.SERIES: tag_of("SeriesInstanceUID"),
    Level.IMAGE: tag_of("SOPInstanceUID"),
}


@frozen
class SearchResource:
    """A resource that is searched: all entities of a level, or those of a study or series.

    Attributes
    ----------
    level : Level
    study, series : str
        UIDs; empty where the resource is not of one.
    """

    level: Level
    study: str = ""
    series: str = ""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the resource itself demands."""
        given = {Level.STUDY: self.study, Level.SERIES: self.series}
        return tuple(SingleValue(UIDS[level], uid) for level, uid in given.items() if uid)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels whose attributes are answered with: its own, and what the path leaves out."""
        if self.level is Level.STUDY:
            return (Level.STUDY,)
        above = () if self.study else (Level.STUDY,)
        if self.level is Level.SERIES:
            return (*above, Level.SERIES)
        return (*above, *(() if self.series else (Level.SERIES,)), Level.IMAGE)


@frozen
class Search:
    """A search that can be carried out.

    Attributes
    ----------
    query : Query
        Its limit is one more than `limit`, if there is one, to tell whether there is more.
    limit : int
        Results at most.
    empty : frozenset of int
        Tags that are given without a value where the index has none.
    warnings : tuple of str
    """

    query: Query
    limit: int
    empty: frozenset[int]
    warnings: tuple[str, ...]


def plan_search(
    archive: Archive, resource: SearchResource, wanted: SearchParameters, most: int
) -> Search:
    """Return the search that parameters ask for.

    Parameters
    ----------
    archive : Archive
    resource : SearchResource
    wanted : SearchParameters
    most : int
        Results at most, whatever is asked for.

    Raises
    ------
    InvalidParameterError
        A value is none of its attribute, or nothing can be sorted by it.
    """
    known = archive.searchable_tags(Level.IMAGE)
    own = archive.searchable_tags(resource.level)
    unmatched = (
        f"{keyword_of(tag)} is not kept here: it has not been matched"
        for tag in sorted(wanted.keys.keys() - known)
    )
    unreturned = sorted(wanted.included - known - _ADDED)
    warnings = (*wanted.warnings, *unmatched, *_say_what_is_not_returned(unreturned))
    matching = KeyMatching(
        combined_date_time=True,  # PS3.18 §8.3.4.1.1
        fuzzy_names=wanted.fuzzy_names,
        empty_values=wanted.empty_values,
        multiple_values=wanted.multiple_values,
        offset=wanted.zone,
    )
    try:
        conditions = matching.conditions(wanted.keys, wanted.keys.keys() & known)
    except InvalidKeyError as error:
        raise InvalidParameterError(str(error)) from error
    required = frozenset[int]().union(*(REQUIRED[level] for level in resource.levels))
    uids = frozenset(UIDS[level] for level in Level if level in UIDS) & own
    asked = (wanted.keys.keys() | wanted.included) & own
    returning = required | uids | asked
    if wanted.include_all:
        returning |= _of_levels(archive, resource)
    _check_order(wanted, own)
    limit = most if wanted.limit is None else min(wanted.limit, most)
    query = Query(
        resource.level,
        (*resource.conditions, *conditions),
        frozenset(returning & own),
        limit=limit + 1,
        offset=wanted.offset,
        order=wanted.order,
    )
    empty = ((required - CONDITIONAL) | asked) - NEVER_EMPTY
    return Search(query, limit, empty, warnings)


def _say_what_is_not_returned(tags: Sequence[int]) -> Iterator[str]:
    if tags:
        more = f" and {len(tags) - 8} more" if len(tags) > 8 else ""
        names = ", ".join(map(keyword_of, tags[:8]))
        yield f"includefield: {names}{more}: not kept here, and not returned"


def count_all(search: Search) -> Query:
    """Return the query that counts what a search finds, however it is paged."""
    return evolve(search.query, limit=None, offset=0, order=(), returning=frozenset())


def _of_levels(archive: Archive, resource: SearchResource) -> frozenset[int]:
    """Return the tags of the resource's levels (§10.6.3.3); a study has its patient's."""
    found: frozenset[int] = frozenset()
    for level in resource.levels:
        above = Level.SERIES if level is Level.IMAGE else Level.STUDY
        higher = frozenset() if level is Level.STUDY else archive.searchable_tags(above)
        found |= archive.searchable_tags(level) - higher
    return found


def _check_order(wanted: SearchParameters, own: frozenset[int]) -> None:
    for order in wanted.order:
        if order.tag not in own:
            raise InvalidParameterError(
                f"results cannot be sorted by {keyword_of(order.tag)}: it is not kept at this level"
            )
