"""Instance Availability: how soon a stored object can be read (PS3.3 C.4.23.1.1)."""

from collections.abc import Awaitable, Callable
from enum import Enum

from attrs import define


class Availability(Enum):
    """How soon an object can be read: the values of Instance Availability (0008,0056)."""

    ONLINE = "ONLINE"
    """At once."""
    NEARLINE = "NEARLINE"
    """After it was recalled from slow media, which the node can do by itself."""
    OFFLINE = "OFFLINE"
    """After somebody has done something, such as inserting a medium."""
    UNAVAILABLE = "UNAVAILABLE"
    """Not at all."""

    @property
    def rank(self) -> int:
        """From 0; of some instances the greatest speaks for all of them (PS3.4 C.4.1.1.3.2)."""
        return _RANKS[self]


_RANKS = {availability: rank for rank, availability in enumerate(Availability)}


class NotOnlineError(OSError):
    """An object is there, and cannot be read before it was recalled.

    Parameters
    ----------
    key : str
    availability : Availability
        Anything but ``ONLINE``.
    reason : str
        Why it is not online, or was not recalled.

    Attributes
    ----------
    key : str
    availability : Availability
    """

    def __init__(self, key: str, availability: Availability, reason: str = "") -> None:
        super().__init__(f"object {key} is {availability.value}" + (reason and f": {reason}"))
        self.key = key
        self.availability = availability


@define
class RecallProgress:
    """How far a recall of objects has come.

    Attributes
    ----------
    online : int
        Objects that came.
    waiting : int
        Objects that are waited for.
    failed : int
        Objects that did not come.
    """

    online: int = 0
    waiting: int = 0
    failed: int = 0


RecallReport = Callable[[RecallProgress], Awaitable[None]]
"""What is told of the progress of a recall, about once a second."""
