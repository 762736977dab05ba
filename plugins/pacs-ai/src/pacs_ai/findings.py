"""Findings about results: what can be wrong with one, and what that means for it."""

from enum import StrEnum

from attrs import field, frozen

from pacs_core.dataset import Changes


class Fault(StrEnum):
    """What can be wrong with a result."""

    UNREADABLE = "unreadable"
    """It is no dataset, or its pixel data do not decode to what its header tells of."""
    CODEC = "codec"
    """Nobody knows whether its pixel data decode: there is no codec for them on this node."""
    SIZE = "size"
    UNASKED = "unasked"
    """There is no request that it could be the answer to."""
    PATIENT = "patient"
    """It is of another patient than the request, or says otherwise who that is."""
    STUDY = "study"
    REFERENCE = "reference"
    """It refers to what the archive does not have, or to nothing that the request was about."""
    GEOMETRY = "geometry"
    """It has another frame of reference than its source, or frames that cannot lie on it."""
    ALGORITHM = "algorithm"
    """It does not say what has made it."""
    UID = "uid"
    """Its UIDs are in use already."""
    DATE = "date"
    REPEATED = "repeated"
    """The service has sent exactly this before."""


FIXED: frozenset[Fault] = frozenset({Fault.PATIENT, Fault.STUDY})
"""What the attributes of the request's study can mend."""
FATAL: frozenset[Fault] = frozenset({Fault.UNREADABLE, Fault.UID, Fault.REPEATED})
"""What nobody may release: it cannot be stored beside what is there."""


@frozen
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    fault : Fault
    text : str
    """

    fault: Fault
    text: str

    def __str__(self) -> str:
        """Return it as it is kept and shown."""
        return f"{self.fault}: {self.text}"

    @classmethod
    def read(cls, text: str) -> "Finding":
        """Return what was kept so."""
        fault, _, rest = text.partition(": ")
        return cls(Fault(fault), rest)


@frozen
class Verdict:
    """What is to be thought of a result.

    Attributes
    ----------
    findings : tuple of Finding
        What is wrong, the fixable included.
    changes : Changes
        What makes the fixable right.
    algorithm : str
        What it says that it was made by.
    references : frozenset of str
        SOP Instance UIDs that it refers to.
    """

    findings: tuple[Finding, ...] = ()
    changes: Changes = field(factory=dict)
    algorithm: str = ""
    references: frozenset[str] = frozenset()
