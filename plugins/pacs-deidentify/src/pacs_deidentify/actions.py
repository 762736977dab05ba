"""Choice between the actions of Table E.1-1 (PS3.15 E.2, Table E.1-1a)."""

from enum import StrEnum
from typing import Final

from pacs_deidentify.tables import load_types

# Theory of operation
#
# Where the standard gives several actions, as X/Z/D, it means: remove, unless the IOD requires the
# attribute (Type 2: empty it; Type 1: put in a dummy). Types come from the tables of PS3.3, by the
# SOP Class and the sequence that an attribute is in. An attribute of a SOP Class or at a place that
# the tables do not have is treated as Type 1, with the last of the actions: none of them keeps
# anything of the value, and a dummy is valid wherever an empty value is.


class Action(StrEnum):
    """What becomes of an attribute (Table E.1-1a)."""

    DUMMY = "D"
    EMPTY = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    REPLACE_UID = "U"


_CHOICES: Final = {
    # By Type 1, 2, 3. An empty value may be a dummy (Table E.1-1a, Z), and has to where Type is 1.
    "Z": (Action.DUMMY, Action.EMPTY, Action.EMPTY),
    "Z/D": (Action.DUMMY, Action.EMPTY, Action.EMPTY),
    "X/Z": (Action.DUMMY, Action.EMPTY, Action.REMOVE),
    "X/D": (Action.DUMMY, Action.DUMMY, Action.REMOVE),
    "X/Z/D": (Action.DUMMY, Action.EMPTY, Action.REMOVE),
    "X/Z/U*": (Action.REPLACE_UID, Action.EMPTY, Action.REMOVE),
}
_UNKNOWN: Final = {"Z": Action.EMPTY, "X/Z": Action.EMPTY}


def choose(code: str, tag: int, parent: int, sop_class_uid: str) -> Action:
    """Return the action for an attribute.

    Parameters
    ----------
    code : str
        Of the Basic Profile column, such as ``X/Z/D``.
    tag, parent : int
        Of the attribute, and of the sequence that it is in; 0 outside of any.
    sop_class_uid : str
    """
    by_type = _CHOICES.get(code)
    if by_type is None:
        return Action(code)
    types = load_types().get((tag, parent))
    if types is None:
        return _UNKNOWN.get(code, by_type[0])
    return by_type[types.others.get(sop_class_uid, types.usual) - 1]
