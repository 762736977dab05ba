"""Storage commitment as other plugins see it: transactions, and who asks peers.

This module imports SQLAlchemy for types only, so that naming the interfaces in `requires` costs
nothing at start-up.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import frozen

from pacs_core.contracts import Component, Peer
from pacs_sop_storage_commitment.references import CommitmentRequest, Failures, Reference

if TYPE_CHECKING:
    from pacs_database.api import DatabaseConnection


REPORT_JOB: Final = "sop-storage-commitment.report"
"""Kind of the jobs that report results."""


class Direction(StrEnum):
    """Who asked whom."""

    RECEIVED = "received"
    """A peer asked this archive."""
    SENT = "sent"
    """This archive asked a peer."""


class TransactionState(StrEnum):
    """How far a transaction is."""

    ASKED = "asked"
    """There is no result yet."""
    CHECKED = "checked"
    """There is a result, which the requestor has not taken yet."""
    REPORTED = "reported"
    """The requestor has the result."""
    GIVEN_UP = "given-up"
    """The requestor did not take the result, or the peer refused to be asked."""


@frozen
class Transaction:
    """A transaction as it stands.

    Attributes
    ----------
    number : int
    direction : Direction
    peer : str
        AE title of the other side.
    request : CommitmentRequest
    state : TransactionState
    failures : Failures
        Once there is a result: what there is no commitment to.
    note : str
        Why it was given up, or when the promise was broken.
    created, changed : float
        Seconds since 1970.
    """

    number: int
    direction: Direction
    peer: str
    request: CommitmentRequest
    state: TransactionState
    failures: Failures
    note: str
    created: float
    changed: float


@frozen
class Promise:
    """What was promised of an instance.

    Attributes
    ----------
    peer : str
        AE title of whoever was promised it.
    since : float
        Seconds since 1970; 0 if there is no result yet.
    """

    peer: str
    since: float

    @property
    def is_asked_for(self) -> bool:
        """Whether it was asked for, and is not looked at yet."""
        return not self.since


class Transactions(Component):
    """What peers have asked, and what they were asked, with the results."""

    @abstractmethod
    async def add(
        self,
        connection: "DatabaseConnection",
        direction: Direction,
        peer: str,
        request: CommitmentRequest,
    ) -> Transaction:
        """Note a request; one that is known is asked anew.

        The instances of a request that was received are promised from then on, until the result
        says otherwise (:meth:`promises`). A transaction UID that the same peer has used for other
        instances is in use: all of the second request fail with 0131H (PS3.3 C.14.1.1).

        Parameters
        ----------
        connection : DatabaseConnection
            Of :meth:`Database.begin`.
        direction : Direction
        peer : str
            AE title.
        request : CommitmentRequest
        """

    @abstractmethod
    async def find(self, number: int) -> Transaction:
        """Return a transaction.

        Raises
        ------
        KeyError
            There is none.
        """

    @abstractmethod
    async def with_uid(self, uid: str, *, peer: str = "", sent: bool = False) -> list[Transaction]:
        """Return the transactions with a UID: of a peer, or that were sent, if that is said."""

    @abstractmethod
    def latest(self, limit: int) -> AsyncIterator[Transaction]:
        """Iterate over the latest transactions."""

    @abstractmethod
    async def set_result(
        self, number: int, failures: Failures, state: TransactionState = TransactionState.CHECKED
    ) -> None:
        """Note the result, and what of it is promised.

        An earlier result that was better for an instance remains a promise.
        """

    @abstractmethod
    async def set_state(self, number: int, state: TransactionState, note: str = "") -> None:
        """Note how far it is."""

    @abstractmethod
    async def promises(self, uids: Sequence[str]) -> Mapping[str, Promise]:
        """Return the latest promises to peers about instances, by SOP Instance UID.

        Parameters
        ----------
        uids : sequence of str
            Some hundreds at most.
        """

    @abstractmethod
    async def break_promises(self, uids: Sequence[str]) -> int:
        """Note that instances are gone that were promised, and return how many of them were.

        Their transactions say 0112H of them from then on, with a note of the day.

        Parameters
        ----------
        uids : sequence of str
            SOP Instance UIDs, some hundreds at most.
        """

    @abstractmethod
    async def forget(self, days: float, promised: float) -> int:
        """Forget what nothing has become of for so many days, and return how many.

        Promises are forgotten by themselves, `promised` days after they were made.
        """


class CommitmentRefusedError(Exception):
    """The peer does not take the request; says why."""


class Requester(Component):
    """Asks peers, and takes their results, which may come at any time and on any association."""

    @abstractmethod
    async def request(self, peer: Peer, request: CommitmentRequest, wait: float) -> Transaction:
        """Ask a peer, and return how the transaction stands.

        Parameters
        ----------
        peer : Peer
        request : CommitmentRequest
        wait : float
            Seconds to wait for the result on the association; it may come on another later.

        Raises
        ------
        AssociationError
            The peer cannot be asked.
        CommitmentRefusedError
        """

    @abstractmethod
    async def take_report(
        self, ae_title: str, uid: str, committed: Sequence[Reference], failures: Failures
    ) -> None:
        """Note the result that a peer reports.

        What it says nothing of is not committed to.

        Raises
        ------
        DimseError
            0115H: it was not asked that.
        """
