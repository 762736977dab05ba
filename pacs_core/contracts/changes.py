"""The contracts of durable events: the changes that an index keeps, and who consumes them.

This is a transactional outbox. An index writes each change in the transaction that makes it, so
that there is no instance without its change, and no change without its instance. Consumers read
the changes afterwards, in order, and each has a cursor, which moves once the consumer has done
its part. No transaction spans the index and what a consumer writes: after a crash the consumer
hears again what lay between its work and the move of its cursor.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import StoredInstance


class ChangeKind(Enum):
    """What has changed in an index."""

    ADDED = "added"
    """An instance came."""
    REPLACED = "replaced"
    """An instance took the place of another with its path."""
    REMOVED = "removed"
    """An instance went."""
    UPDATED = "updated"
    """An instance goes out otherwise than before, since it was corrected or that was reverted."""
    STUDY_COMPLETE = "study-complete"
    """No instance of a study has come or gone for ``[archive] study_quiet_time``."""
    STUDY_REOPENED = "study-reopened"
    """An instance came for a study that was said to be complete."""


INSTANCE_CHANGES: Final = frozenset(
    {ChangeKind.ADDED, ChangeKind.REPLACED, ChangeKind.REMOVED, ChangeKind.UPDATED}
)
"""What happens to instances."""
STUDY_CHANGES: Final = frozenset({ChangeKind.STUDY_COMPLETE, ChangeKind.STUDY_REOPENED})
"""What the kernel derives from that about studies."""


@frozen
class Change:
    """One change of an index.

    Attributes
    ----------
    sequence : int
        Ever greater, from 1; 0 for what was there before its consumer, see
        :class:`ChangeConsumerDescriptor`.
    kind : ChangeKind
    time : float
        When it was made, in seconds since the epoch (UTC).
    study_instance_uid : str
    instance : StoredInstance or None
        The instance that came, or the one that went; None for a change of the study.
    """

    sequence: int
    kind: ChangeKind
    time: float
    study_instance_uid: str
    instance: StoredInstance | None = None


class ChangesLostError(Exception):
    """The changes after a cursor are no longer known: the index was lost and made anew."""


@frozen
class Cursor:
    """How far a consumer has come.

    Attributes
    ----------
    consumer : str
    sequence : int
        Of the last change that it is done with.
    walked : bool
        Whether it has been told of what was there before it.
    behind : int
        Changes after that.
    """

    consumer: str
    sequence: int
    walked: bool = True
    behind: int = 0


class ChangeLog(ABC):
    """The changes that an index keeps, and the cursors of those who consume them.

    - While any consumer is known, :meth:`Index.add`, :meth:`Index.replace` and
      :meth:`Index.remove` write a change in their own transaction, as durable as the row itself,
      whichever process calls them; while none is known they write nothing. A call that changes
      nothing writes nothing, and :meth:`Index.clear` neither writes nor removes changes.
    - Sequences are in the order of commits: once a change can be read, none with a lower
      sequence appears. No sequence is used again.
    - Cursors are kept where the changes are. A rebuild of the index keeps both.
    - Changes that every known consumer is done with are removed.
    """

    @abstractmethod
    async def follow(self, consumer: str, *, walked: bool = True) -> Cursor:
        """Return the cursor of a consumer, made if there is none.

        Parameters
        ----------
        consumer : str
        walked : bool
            Of a new cursor, which stands after the last change; every change from now on will be
            kept for it. One that is known stays as it is.
        """

    @abstractmethod
    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return the first changes with a greater sequence, in order.

        Raises
        ------
        ChangesLostError
            No change with the sequence `after` was ever written, nor a cursor set there.
        """

    @abstractmethod
    async def advance(self, consumer: str, sequence: int) -> None:
        """Move a cursor, which has walked as well; never back.

        It survives the end of the process. A power failure may set it back.

        Raises
        ------
        ChangesLostError
            The consumer is not known.
        """

    @abstractmethod
    async def unfollow(self, consumer: str) -> bool:
        """Forget a consumer, so that nothing is kept for it; tell whether it was known."""

    @abstractmethod
    async def cursors(self) -> Sequence[Cursor]:
        """Return the cursors of all consumers, by name."""

    @abstractmethod
    async def note_complete(self, study_instance_uid: str, through: int) -> bool:
        """Note that a study is complete, as of its change with the sequence `through`.

        A study without instances is forgotten instead. Of a study that was not complete a change
        is written: :attr:`ChangeKind.STUDY_COMPLETE`.

        Returns
        -------
        bool
            Whether a change was written.
        """

    @abstractmethod
    async def note_reopened(self, study_instance_uid: str, sequence: int) -> bool:
        """Note that the change with this sequence reopened a study.

        Of a study that was complete as of an earlier change, a change is written:
        :attr:`ChangeKind.STUDY_REOPENED`.

        Returns
        -------
        bool
            Whether a change was written.
        """


class ChangeConsumer(Component):
    """Does something about every change: forwards, copies, counts exactly.

    - Only ``pacs serve`` runs consumers, and of a node with many workers one process runs each:
      when that one dies, another takes over.
    - Every change of the kinds in the descriptor comes at least once, in the order of sequences,
      and so in order within each study, whatever process is killed when. After a crash, and after
      an exception, changes come again that have come before: let what you do be harmless when it
      is done twice.
    - An instance may be gone, or another, when its change is handled: the archive says what is
      there now.
    """

    @abstractmethod
    async def handle(self, changes: Sequence[Change]) -> None:
        """Do what is to be done about some changes.

        When this returns, the cursor moves behind them. If it raises, or is cancelled because the
        node ends, it does not: then the consumer is stopped and made anew, after a pause that
        grows with each failure, and the same changes come again. There is no time limit: calls
        that take long are logged, with the number of changes that wait.

        Parameters
        ----------
        changes : sequence of Change
            Between one and :attr:`ChangeConsumerDescriptor.batch`.
        """
