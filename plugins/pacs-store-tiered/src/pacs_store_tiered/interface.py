"""Facts of studies that policies need beside the index: arrival, use and pins.

This module imports SQLAlchemy for types only, so that naming the interface in `requires` costs
nothing at start-up.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Final

from attrs import frozen

from pacs_core.contracts import Component

MIGRATE_JOB: Final = "store-tiered.migrate"
"""Kind of the job that moves what policies say."""


@frozen
class StudyFacts:
    """What is known of a study.

    Attributes
    ----------
    uid : str
        Study Instance UID.
    arrived : float
        When its last instance came, in seconds since 1970.
    used : float
        When anything of it was read, or came.
    complete : bool
        Whether it is said to be complete.
    pinned : str
        Why it is not to be moved; empty if it may be.
    """

    uid: str
    arrived: float
    used: float
    complete: bool = False
    pinned: str = ""


class Studies(Component):
    """The facts of all studies; whatever is lost of them is only when something moves."""

    @abstractmethod
    async def note_arrivals(self, arrivals: Mapping[str, float]) -> None:
        """Note when the last instances of studies came; these are not complete then."""

    @abstractmethod
    async def note_complete(self, uids: Collection[str], *, complete: bool = True) -> None:
        """Note whether studies are complete."""

    @abstractmethod
    async def note_uses(self, uids: Collection[str], moment: float) -> None:
        """Note that studies were used, of those that are known; others are passed over."""

    @abstractmethod
    async def pin(self, uids: Collection[str], reason: str) -> None:
        """Pin studies, known or not; with an empty reason, let them go."""

    @abstractmethod
    def pinned(self) -> AsyncIterator[StudyFacts]:
        """Iterate over the studies that are pinned."""

    @abstractmethod
    def by_use(self) -> AsyncIterator[StudyFacts]:
        """Iterate over the studies, what was not used for longest first; in bounded memory."""

    @abstractmethod
    async def forget(self, uid: str) -> None:
        """Forget a study that the archive has not any more, unless it is pinned."""
