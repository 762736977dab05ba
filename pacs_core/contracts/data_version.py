"""Versions of what plugins keep, for ``pacs migrate --check``: what a start would do to it."""

from enum import Enum

from attrs import frozen


class DataState(Enum):
    """How what is kept stands to what the program knows."""

    ABSENT = "absent"
    """There is nothing yet: a start makes it."""
    CURRENT = "current"
    """A start changes nothing."""
    OLDER = "older"
    """A start brings it to the version of the program."""
    NEWER = "newer"
    """It was made by a later version: a start refuses it, and changes nothing."""
    UNUSED = "unused"
    """It belongs to something that is not installed: a start leaves it alone."""


@frozen
class DataVersion:
    """A version of something that a plugin keeps.

    Attributes
    ----------
    what : str
        Names it and where it is, without a password.
    state : DataState
    found, known : str
        The version that is there, and the one of the program; empty for none.
    """

    what: str
    state: DataState
    found: str = ""
    known: str = ""

    @classmethod
    def of_number(cls, what: str, found: int, known: int) -> "DataVersion":
        """Return what counted versions mean, of which 0 is none."""
        state = DataState.CURRENT
        if found != known:
            state = DataState.OLDER if found < known else DataState.NEWER
        if not found:
            state = DataState.ABSENT
        return cls(what, state, str(found or ""), str(known))
