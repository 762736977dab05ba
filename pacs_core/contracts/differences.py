"""Differences between the index of an archive and its object store."""

from enum import Enum

from attrs import frozen


class DifferenceKind(Enum):
    """How store and index disagree about an object."""

    MISSING = "missing"
    """The index has an instance whose object is not in the store."""
    ORPHAN = "orphan"
    """The store has an object of an instance that the index does not know."""
    SET_ASIDE = "set-aside"
    """The object's SOP Instance UID is served from another object: no fault, a duplicate."""
    DIFFERS = "differs"
    """The index says other things about an object than the object does."""
    DAMAGED = "damaged"
    """The object's bytes are not those that were stored."""
    UNREADABLE = "unreadable"
    """The object is no valid instance, or cannot be read."""
    GAP = "gap"
    """The index knows that it may lack instances."""
    DAMAGE = "damage"
    """What the index has stored is damaged."""


@frozen
class Difference:
    """One difference between store and index.

    Attributes
    ----------
    kind : DifferenceKind
    key : str
        Of the object; ``index`` for what concerns the index alone.
    sop_instance_uid : str
        Empty where it is not known.
    detail : str
        What exactly, in words.
    """

    kind: DifferenceKind
    key: str
    sop_instance_uid: str = ""
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.kind is not DifferenceKind.SET_ASIDE

    def __str__(self) -> str:
        what = [self.kind.value, self.key, self.sop_instance_uid, self.detail]
        return "  ".join(part for part in what if part)
