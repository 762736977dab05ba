"""The query model that C-FIND identifiers and QIDO-RS parameters both become.

A :class:`Query` is a level, a conjunction of conditions, and the tags to return. Index plugins
turn it into their own language with bound parameters; because there is just one model, the
DIMSE and the web door cannot disagree (PS3.4 C.2.2.2, PS3.18 §8.3.4).
"""

import unicodedata
from enum import Enum

from attrs import field, frozen


class Level(Enum):
    """Query/Retrieve Level (0008,0052), PS3.4 C.6.1.1.1, from the top of the hierarchy."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    @property
    def depth(self) -> int:
        """0 for PATIENT to 3 for IMAGE."""
        return _DEPTHS[self]


_DEPTHS = {level: depth for depth, level in enumerate(Level)}


@frozen
class SingleValue:
    """Single value matching (PS3.4 C.2.2.2.1): the value, or one of several, equals `value`."""

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
    """

    tag: int
    start: str
    end: str


@frozen
class DateTimeRange:
    """Combined date-time matching (PS3.4 C.2.2.2.5.4): one range over a date and time pair."""

    date_tag: int
    time_tag: int
    start_date: str
    start_time: str
    end_date: str
    end_time: str


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


Condition = (
    SingleValue | UidList | Wildcard | Range | DateTimeRange | PersonName | SequenceMatch | Empty
)


@frozen
class Query:
    """What to look for, and what to return of it.

    Attributes
    ----------
    level : Level
        Of the entities that are returned.
    conditions : tuple of Condition
        All must hold. A condition may concern an attribute of any level: one of a lower level
        holds for an entity that has some descendant with it.
    returning : frozenset of int
        Tags wanted in the results; those the index does not know are left out. Universal
        matching (PS3.4 C.2.2.2.3) is a tag here without a condition.
    limit : int or None
        At most so many results.
    offset : int
        Results to skip; the order is stable as long as the index does not change.
    """

    level: Level
    conditions: tuple[Condition, ...] = ()
    returning: frozenset[int] = field(factory=frozenset)
    limit: int | None = None
    offset: int = 0


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


def _expand(text: str, lowest: str, highest: str) -> tuple[str, str]:
    return text + lowest[len(text) :], text + highest[len(text) :]


_WIDEST = {
    "DA": ("00000101", "99991231"),
    "TM": ("000000.000000", "235960.999999"),
    "DT": ("00000101000000.000000", "99991231235960.999999"),
}


def range_bounds(vr: str, start: str, end: str) -> tuple[str, str]:
    """Return the inclusive bounds of a range as comparable strings.

    A bound of reduced precision covers the whole interval that it names: ``1030`` as the end
    of a time range is ``103060.999999`` (PS3.4 C.2.2.2.5). Compare them with values that went
    through :func:`comparable`.

    Parameters
    ----------
    vr : str
        ``"DA"``, ``"TM"`` or ``"DT"``.
    start, end : str
        Bounds as on the wire; empty is open.
    """
    lowest, highest = _WIDEST[vr]
    return (
        _expand(_plain(vr, start), lowest, highest)[0],
        _expand(_plain(vr, end), lowest, highest)[1],
    )


def comparable(vr: str, value: str) -> str:
    """Return a stored DA, TM or DT value padded so that string order is order in time."""
    return _expand(_plain(vr, value), *_WIDEST[vr])[0] if value else ""


def _plain(vr: str, text: str) -> str:
    # ACR-NEMA style punctuation is to be accepted on input (PS3.5 Table 6.2-1, DA and TM).
    if vr == "DA":
        return text.replace(".", "").strip()
    if vr == "TM":
        return text.replace(":", "").strip()
    return text.strip()
