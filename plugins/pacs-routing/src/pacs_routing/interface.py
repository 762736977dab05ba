"""Deliveries as other plugins see them: what is to go to a peer, and what became of it.

This module imports SQLAlchemy for nothing, so that naming the interface in `requires` costs
nothing at start-up.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import frozen

from pacs_core.contracts import Component, StoredInstance

if TYPE_CHECKING:
    from pacs_jobs.api import NewJob


class DeliveryState(StrEnum):
    """How far a delivery is."""

    WAITING = "waiting"
    """It is to be sent, for the first time or again."""
    SENT = "sent"
    """The peer has it; where the rule says so, it is asked to commit to it."""
    COMMITTED = "committed"
    """The peer has committed to it."""
    FAILED = "failed"
    """It was given up: `reason` says why."""
    CANCELLED = "cancelled"
    """Somebody said that it is not to be sent any more."""
    GONE = "gone"
    """The archive had it no more, or had another instance under its UID, when it was its turn."""


@frozen
class Wanted:
    """A delivery to be made.

    Attributes
    ----------
    instance : StoredInstance
    peer : str
        Name of its table.
    rule : str
        By which it goes there; empty if somebody asked for it.
    lane : int
        Lanes of a peer are sent side by side; all of a study are in one.
    deidentify : str
        Profile, if it is not the peer's.
    priority : int
    is_ordered, is_committed : bool
        As `ordered` and `commit` of the rule.
    not_before : float
        When the time of its rule comes; 0 if it is that already.
    """

    instance: StoredInstance
    peer: str
    rule: str = ""
    lane: int = 0
    deidentify: str = ""
    priority: int = 0
    is_ordered: bool = False
    is_committed: bool = False
    not_before: float = 0.0


@frozen
class Delivery:
    """A delivery as it stands.

    Attributes
    ----------
    number : int
        In the order in which they were wanted.
    rule, peer, lane, deidentify, priority, is_ordered, is_committed
        As of :class:`Wanted`.
    study_uid, instance_uid : str
    version : str
        Which content is meant: the digest of the stored dataset, or where it lies.
    state : DeliveryState
    attempts : int
        How often it failed.
    due : float
        Not before; seconds since 1970, as all times.
    status : int
        Of the last C-STORE response; of DICOMweb the Failure or Warning Reason.
    reason : str
        Why it failed last, or what the peer had to remark.
    sent_uid : str
        SOP Instance UID under which it went out.
    created, changed : float
    """

    number: int
    rule: str
    peer: str
    lane: int
    study_uid: str
    instance_uid: str
    version: str
    deidentify: str
    priority: int
    is_ordered: bool
    is_committed: bool
    state: DeliveryState
    attempts: int
    due: float
    status: int
    reason: str
    sent_uid: str
    created: float
    changed: float


@frozen
class Outcome:
    """What became of an attempt, to be noted."""

    number: int
    state: DeliveryState
    attempts: int = 0
    due: float = 0.0
    status: int = 0
    reason: str = ""
    sent_uid: str = ""


@frozen
class RouteTotal:
    """How many deliveries of a route, by a rule to a peer, are in a state."""

    rule: str
    peer: str
    state: DeliveryState
    count: int
    oldest: float
    latest: float


@frozen
class DeliveryFilter:
    """Which deliveries are meant: those that meet all that is given."""

    peer: str = ""
    rule: str = ""
    study_uid: str = ""
    instance_uid: str = ""
    states: Collection[DeliveryState] = ()
    numbers_below: int | None = None


class Deliveries(Component):
    """What is to go to peers, and what went: it outlives the processes that made it."""

    @abstractmethod
    async def add(self, wanted: Sequence[Wanted], *, again: bool = False) -> int:
        """Add deliveries that are not known, and see to it that they are made; return how many.

        The same content is wanted once for a peer, in one form, whichever rules say so.

        Parameters
        ----------
        wanted : sequence of Wanted
            Some hundred at most.
        again : bool
            Whether those that are known, and do not wait, wait again.
        """

    @abstractmethod
    async def due(
        self, peer: str, lane: int, limit: int, closed: Collection[str] = ()
    ) -> list[Delivery]:
        """Return what is to be sent next: by priority, then in the order in which it was wanted.

        What is ordered does not overtake one of its study that waits for its next attempt.

        Parameters
        ----------
        peer : str
        lane : int
        limit : int
        closed : collection of str
            Rules whose time it is not.
        """

    @abstractmethod
    async def note(self, outcomes: Sequence[Outcome], follow: "NewJob | None" = None) -> None:
        """Note what became of attempts, and enqueue the job that is to follow: both or neither."""

    @abstractmethod
    async def find(self, numbers: Collection[int]) -> list[Delivery]:
        """Return the deliveries with these numbers, as far as they are known."""

    @abstractmethod
    async def pass_on(
        self,
        peer: str,
        lane: int,
        job: int,
        not_before: float = 0.0,
        closed: Mapping[str, float] | None = None,
    ) -> bool:
        """Note that a job sends nothing more, and enqueue another if something waits.

        Parameters
        ----------
        peer : str
        lane : int
        job : int
            Its number; if another has the lane, nothing is done.
        not_before : float
            The next one begins no sooner.
        closed : mapping of str to float, optional
            Rules whose time it is not, and when that comes.

        Returns
        -------
        bool
            Whether something waits.
        """

    @abstractmethod
    async def wake(self, *, sooner: bool = False) -> int:
        """Enqueue jobs for lanes in which something waits and that have none; return how many.

        Parameters
        ----------
        sooner : bool
            Also where the job is to begin later: times of rules may have changed.
        """

    @abstractmethod
    def search(self, wanted: DeliveryFilter, limit: int) -> AsyncIterator[Delivery]:
        """Iterate over deliveries, the latest first."""

    @abstractmethod
    async def totals(self) -> list[RouteTotal]:
        """Return how many deliveries there are, by route and state."""

    @abstractmethod
    async def retry(self, wanted: DeliveryFilter) -> int:
        """Let those that failed or were cancelled wait again, and those that wait be due now.

        Return how many.
        """

    @abstractmethod
    async def cancel(self, wanted: DeliveryFilter) -> int:
        """Let those that wait not be sent any more; return how many.

        What is on its way at this moment may arrive nevertheless, and is then noted as sent.
        """

    @abstractmethod
    async def expire(self, days: float) -> list[RouteTotal]:
        """Give up what has waited for so many days, and return how many of which route."""

    @abstractmethod
    async def forget(self, days: float) -> int:
        """Forget what has ended, so many days ago, and return how many."""
