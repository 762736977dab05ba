"""The query model that C-FIND identifiers and QIDO-RS parameters both become.

A :class:`Query` is a level, a conjunction of conditions, and the tags to return. Index plugins
turn it into their own language with bound parameters; because there is just one model, the
DIMSE and the web door cannot disagree (PS3.4 C.2.2.2, PS3.18 §8.3.4).
"""

import unicodedata
from enum import Enum

from attrs import field, frozen


class Level(Enum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6.1.1.1, from the top of the hierarchy.

    Attributes
    ----------
    depth : int
        0 for PATIENT to 3 for IMAGE.
    """

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    def __init__(self, _: str) -> None:
        # Each search asks for it hundreds of times.
        self.depth = len(type(self).__members__)


@frozen
class SingleValue:
    """Single value matching (PS3.4 C.2.2.2.1): the value, or one of several, equals `value`.

    Dates and times are equal if they mean the same, numbers of VR IS and DS if they are the same
    number, names as :class:`PersonName` has it, and all else if it is the same text.
    """

    tag: int
    value: str


@frozen
class UidList:
    """List of UID matching (PS3.4 C.2.2.2.2)."""

    tag: int
    uids: tuple[str, ...]


@frozen
class Wildcard:
    """Wild card matching (PS3.4 C.2.2.2.4): ``*`` any run of characters, ``?`` exactly one."""

    tag: int
    pattern: str


@frozen
class Range:
    """Range matching of dates, times or date-times (PS3.4 C.2.2.2.5.1 to .3), inclusive.

    An empty bound is open. Bounds are as on the wire; compare with :func:`range_bounds`.

    Attributes
    ----------
    tag : int
    start, end : str
    offset : str
        Of the zone in which bounds of VR DT without an offset from UTC are meant, ``&ZZXX``;
        empty for the archive's.
    """

    tag: int
    start: str
    end: str
    offset: str = ""


@frozen
class DateTimeRange:
    """Matching of a date and time pair, as a whole or in another zone: :func:`is_within`.

    Attributes
    ----------
    date_tag, time_tag : int
    start_date, start_time, end_date, end_time : str
        Bounds as on the wire, inclusive; empty is open.
    combined : bool
        One range over both (PS3.4 C.2.2.2.5.4); otherwise a range of dates, and one of times
        within each day.
    offset : str
        Of the zone in which the bounds are meant, ``&ZZXX`` (PS3.4 C.2.2.2.1.3, C.2.2.2.5.2):
        dates and times in instances are meant in the zone of their Timezone Offset From UTC,
        else in the archive's. Empty compares with what is written.
    """

    date_tag: int
    time_tag: int
    start_date: str
    start_time: str
    end_date: str
    end_time: str
    combined: bool = True
    offset: str = ""

    @property
    def tag(self) -> int:
        """The date's, as other conditions have one."""
        return self.date_tag


@frozen
class PersonName:
    """Person name matching: case-insensitive, wild cards allowed (PS3.4 C.2.2.2.1, C.2.2.2.4).

    Attributes
    ----------
    tag : int
    groups : tuple of str
        Patterns folded by :func:`fold_name`. One pattern matches if any of the alphabetic,
        ideographic and phonetic component groups matches it; two or three patterns match if
        each that is not empty matches its own group (PS3.5 §6.2.1.2).
    fuzzy : bool
        Match by sound or likeness as well, where the index can (PS3.4 C.2.2.2.1.1 note).
    """

    tag: int
    groups: tuple[str, ...]
    fuzzy: bool = False


@frozen
class SequenceMatch:
    """Sequence matching (PS3.4 C.2.2.2.6): some item meets all `conditions`."""

    tag: int
    conditions: tuple["Condition", ...]


@frozen
class Empty:
    """Empty value matching (PS3.4 C.2.2.2.7): the attribute is absent or without a value."""

    tag: int


@frozen
class AnyOf:
    """Several values for one attribute (PS3.4 C.2.2.2.8): at least one of `conditions` holds.

    All of them are about the attribute `tag`; none is an :class:`AnyOf` or a
    :class:`DateTimeRange`.
    """

    tag: int
    conditions: tuple["Condition", ...]


Condition = (
    SingleValue
    | UidList
    | Wildcard
    | Range
    | DateTimeRange
    | PersonName
    | SequenceMatch
    | Empty
    | AnyOf
)


@frozen
class AllOf:
    """A restriction: all of `restrictions` hold for the instance; true if there are none."""

    restrictions: tuple["Restriction", ...]


@frozen
class Either:
    """A restriction: at least one of `restrictions` holds; false if there are none.

    Among :attr:`Query.conditions`, where `restrictions` are conditions all, it is one of the entity
    that is looked for.
    """

    restrictions: tuple["Restriction", ...]


@frozen
class Not:
    """A restriction: `restriction` does not hold for the instance."""

    restriction: "Restriction"


Restriction = Condition | AllOf | Either | Not
"""What must hold for an instance to exist for a query, see :attr:`Query.restrictions`."""


def restricted_tags(restrictions: "tuple[Restriction, ...]") -> frozenset[int]:
    """Return the tags that restrictions are about."""
    found: set[int] = set()
    for each in restrictions:
        if isinstance(each, AllOf | Either):
            found |= restricted_tags(each.restrictions)
        elif isinstance(each, Not):
            found |= restricted_tags((each.restriction,))
        elif isinstance(each, DateTimeRange):
            found |= {each.date_tag, each.time_tag}
        else:
            found.add(each.tag)
    return frozenset(found)


@frozen
class Order:
    """Results are sorted by the value of an attribute, compared by :func:`sort_key`.

    What has no value, or none that can be compared, comes last either way.

    Attributes
    ----------
    tag : int
        Of an attribute of the query's level or one above, neither computed nor a sequence.
    descending : bool
    """

    tag: int
    descending: bool = False


@frozen
class Query:
    """What to look for, and what to return of it.

    Attributes
    ----------
    level : Level
        Of the entities that are returned.
    conditions : tuple of Condition or Either
        All must hold. A condition may concern an attribute of any level: one of a lower level
        holds for an entity that has some descendant with it.
    returning : frozenset of int
        Tags wanted in the results; those the index does not know are left out. Universal
        matching (PS3.4 C.2.2.2.3) is a tag here without a condition.
    limit : int or None
        At most so many results.
    offset : int
        Results to skip; the order is stable as long as the index does not change.
    restrictions : tuple of Restriction
        What instances exist for this query: those whose own attributes meet all of them. The
        answer is the same as if the index held no others, conditions, numbers, values of
        entities and all. They are about attributes in :attr:`Index.wanted_tags`, of any level.
    order : tuple of Order
        How results of a search are sorted, the most significant first; what is equal comes in the
        order of an index without it. Retrieval (:meth:`Index.instances`) does not heed it.
    """

    level: Level
    conditions: tuple[Condition | Either, ...] = ()
    returning: frozenset[int] = field(factory=frozenset)
    limit: int | None = None
    offset: int = 0
    restrictions: tuple[Restriction, ...] = ()
    order: tuple[Order, ...] = ()


def fold_name(name: str) -> str:
    """Return a person name, or a pattern for one, in the form in which names are compared.

    Unicode compatibility and case differences, surrounding spaces of components, and empty
    trailing components do not count.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "^".join(part.strip() for part in folded.split("^")).rstrip("^")


def name_groups(name: str) -> tuple[str, ...]:
    """Return the folded component groups of a person name value (PS3.5 §6.2.1.2)."""
    return tuple(fold_name(group) for group in name.split("="))
