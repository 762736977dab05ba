"""The contract of an index: what lies in the archive, and how to find it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from attrs import evolve, field, frozen
from attrs.validators import in_, min_len

from pacs_core.contracts.changes import ChangeLog
from pacs_core.contracts.component import Component
from pacs_core.contracts.conflicts import Conflict
from pacs_core.contracts.corrections import CorrectionLog
from pacs_core.contracts.durability import Durability
from pacs_core.contracts.fingerprints import Fingerprint
from pacs_core.contracts.instance import InstancePath, InstanceRecord, StoredInstance
from pacs_core.contracts.leases import Leases
from pacs_core.contracts.metadata import PreparedMetadata
from pacs_core.dataset import Attributes
from pacs_core.query.model import Level, Query


@frozen
class FurtherAttribute:
    """An attribute to index beyond those of the catalog.

    Attributes
    ----------
    keyword : str
        Keyword of PS3.6, or eight hexadecimal digits for a private attribute.
    level : str
        ``"patient"``, ``"study"``, ``"series"`` or ``"image"``.
    indexed : bool
        Whether matching on it must be fast; costs room and a little time for each instance.
    """

    keyword: str = field(validator=min_len(1))
    level: Literal["patient", "study", "series", "image"] = field(
        validator=in_(("patient", "study", "series", "image"))
    )
    indexed: bool = False


@frozen
class IndexResult:
    """What became of a record.

    Attributes
    ----------
    existing : StoredInstance or None
        The instance that has, or had, the same path.
    conflicts : tuple of Conflict
        Those that there were not before.
    """

    existing: StoredInstance | None = None
    conflicts: tuple[Conflict, ...] = ()


class Index(Component, ABC):
    """Knows every stored instance, by its path and by the attributes of its hierarchy.

    - What :meth:`add`, :meth:`replace` and :meth:`remove` have done when they return is as
      durable as the descriptor promises, and every later call sees it.
    - Every method may be called concurrently; none blocks the event loop for longer than a
      point look-up takes.
    - The index never reads objects; it can be built again from the store alone.

    Entities are kept by their whole path. Patients are told apart by Patient ID and Issuer of
    Patient ID together; without a Patient ID each study has a patient of its own. A study is one
    entity for each patient of whom it has instances, a series one for each study. An instance is
    known by its study and SOP Instance UID; nothing else is ever found in its place.

    Answers are a function of the records alone, not of the order in which they came, or of what
    was there before:

    - An attribute of a study, or of a series, has the value of that of its instances which comes
      first by :func:`precedence`, and has a value. An index may leave out instances beyond the
      first :data:`CONSIDERED` different headers.
    - A study has the attributes of its patient as its own instances have them. A patient has
      those of the latest study, by Study Date, Study Time and Study Instance UID, that has a
      value.
    - Each different value finds the entity: a condition on an attribute of a study or series
      holds if it holds for any of its instances, and on one of a patient for any of the studies.
      A condition that the value be empty is about the value that is returned.

    Of who sent an instance (:attr:`StoredInstance.origin`) door, AE titles and name of the
    principal are kept, with it and with its changes.

    A query may be restricted (:attr:`Query.restrictions`): then they are a function of those
    records alone which meet the restrictions, as :func:`admits` tells from their attributes. A
    restriction on an attribute that is not in :attr:`wanted_tags` raises :class:`ValueError`,
    when the query is made or when its first result is asked for.
    """

    shared: bool = False
    """Whether many processes may use the same index at once."""

    @property
    def change_log(self) -> ChangeLog | None:
        """The changes that this index keeps; None if it keeps none.

        Then no change consumer runs with it: each is refused with its plugin.
        """
        return None

    def prepared_metadata(self, form: str) -> PreparedMetadata | None:
        """Return the metadata that this index keeps; None if it keeps none.

        Then metadata are made of the objects with each request.

        Parameters
        ----------
        form : str
            How the caller makes them. What was kept in another form counts as lacking.
        """
        return None

    @property
    def correction_log(self) -> CorrectionLog | None:
        """The log of corrections that this index keeps; None if it keeps none.

        Then nothing can be corrected with it: :meth:`Archive.update` says so.
        """
        return None

    @property
    def leases(self) -> Leases | None:
        """Leases of all nodes that share this index; None if it keeps none.

        By them a service with the scope of a node runs once, although several nodes have one
        index. Without them each node runs one.
        """
        return None

    @property
    @abstractmethod
    def wanted_tags(self) -> frozenset[int]:
        """Tags of the attributes that the archive must extract for a record."""

    @abstractmethod
    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags that a query at `level` may match on or return, computed ones included.

        Every index offers at least the required and unique keys of PS3.4 C.6.1.1 and C.6.2.1,
        and computes Modalities in Study, SOP Classes in Study and the eight
        ``NumberOf...Related...`` attributes (PS3.4 C.3.4).
        """

    @abstractmethod
    async def add(
        self, record: InstanceRecord, *, durability: Durability = Durability.COMMIT
    ) -> IndexResult:
        """Add an instance, with its series, study and patient.

        Parameters
        ----------
        record : InstanceRecord
        durability : Durability
            What the row must survive. Under ``WRITE_BEHIND`` the same transaction notes that its
            object is not on disk yet, so that no power failure can part the row from the note.

        Returns
        -------
        IndexResult
            With an existing instance, nothing was changed.
        """

    async def add_many(
        self, records: Sequence[InstanceRecord], *, durability: Durability = Durability.COMMIT
    ) -> Sequence[IndexResult]:
        """Add instances, as :meth:`add` does with one after the other.

        Override it where many cost less at once, such as in one transaction. If it raises, any of
        them may have been added; adding all of them again is harmless.

        Returns
        -------
        sequence of IndexResult
            One for each record, in their order.
        """
        return [await self.add(record, durability=durability) for record in records]

    @abstractmethod
    def unflushed(self) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances added under ``WRITE_BEHIND`` and not settled since.

        In bounded memory; instances may be settled and removed meanwhile.
        """

    @abstractmethod
    async def settle(self, paths: Sequence[InstancePath]) -> None:
        """Forget that the objects of instances were not on disk: now they are.

        When this returns, these rows and all that were added before are durable. Paths that are
        unknown, or settled, are passed over.
        """

    @abstractmethod
    async def replace(self, record: InstanceRecord) -> IndexResult:
        """Add an instance in place of the one with its path, at once.

        Where both have the same key, it is the same object under other corrections: the change is
        :attr:`ChangeKind.UPDATED`, and whether the object is on disk stays as it is noted.

        Returns
        -------
        IndexResult
            The existing instance, if any, is the one that was replaced.
        """

    @abstractmethod
    async def remove(self, path: InstancePath) -> StoredInstance | None:
        """Remove an instance, and the series, study and patient that it leaves empty.

        Returns
        -------
        StoredInstance or None
            What was removed, None if there was nothing.
        """

    @abstractmethod
    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path, or None. On the hot path of every C-STORE."""

    @abstractmethod
    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over matching entities of the query's level, in a stable order.

        Each result has the tags of ``query.returning`` that the index knows; a tag whose value
        is unknown or empty is ``()``. Results are fetched in batches: memory is bounded, and a
        caller that stops early leaves nothing running once it closes the iterator.

        Raises
        ------
        ValueError
            On iteration: the index cannot sort by an attribute of ``query.order``.
        """

    async def count(self, query: Query) -> int:
        """Return how many entities of the query's level match.

        ``limit``, ``offset``, ``order`` and ``returning`` do not matter. Override it where counting
        costs less than finding.
        """
        anything = evolve(query, limit=None, offset=0, order=(), returning=frozenset())
        return len([None async for _ in self.search(anything)])

    @abstractmethod
    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances at or below the entities that match, for retrieval.

        Ordered by study, series and Instance Number. Batched like :meth:`search`.
        """

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return how many instances :meth:`instances` finds, and a digest of their content.

        ``limit``, ``offset`` and ``order`` do not matter. Override it where it costs less than to
        find them.
        """
        everything = evolve(query, limit=None, offset=0, order=())
        return await Fingerprint.of_instances(self.instances(everything))

    async def corrected(self) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances to which corrections apply, in bounded memory.

        Override it where these can be found without a look at all others.
        """
        async for instance in self.instances(Query(Level.IMAGE)):
            if instance.corrections:
                yield instance

    @abstractmethod
    def conflicts(self) -> AsyncIterator[Conflict]:
        """Iterate over all conflicts, in bounded memory but for the values of each.

        Whatever of it :meth:`add` or :meth:`replace` brings about they report, once; a conflict
        between studies of a patient at least when the second of them arrives.
        """

    @abstractmethod
    async def clear(self) -> None:
        """Remove everything, before a rebuild. What :meth:`note_gap` noted stays."""

    async def is_empty(self) -> bool:
        """Tell whether there is no instance."""
        return not [found async for found in self.instances(Query(Level.IMAGE, limit=1))]

    # --- what an index knows of its own state

    async def gap(self) -> str:
        """Return why the index may lack instances that the object store has.

        Empty if there is no reason to think so. Asked with every query, so it must cost no more
        than a point look-up. An index that outlives the process keeps what was noted where it
        keeps its instances; this default keeps it in memory.
        """
        return self._gap or ""

    async def note_gap(self, reason: str) -> None:
        """Note why instances may be lacking, durably; empty notes that none is."""
        self._gap = reason

    async def has_no_gap(self) -> bool:
        """Tell whether it was noted that no instance is lacking, and nothing else since.

        So an index that has always been there, and is empty, is told from one that was lost, and
        made anew.
        """
        return self._gap == ""

    _gap: str | None = None

    async def damage(self) -> Sequence[str]:
        """Look for damage in what the index itself has stored, and name it; may take minutes."""
        return ()

    @asynccontextmanager
    async def rebuilding(self) -> "AsyncIterator[IndexRebuild]":
        """Build the index anew for the length of an ``async with`` block.

        An index that can builds another beside this one, which takes its place at the end of the
        block, at once and for every process that uses it; until then this one answers. If the
        block raises, or its process dies, nothing has changed. Such an index need not have been
        started: a damaged one does not start.

        This default empties the index itself, and notes a :meth:`gap` until the block has ended.

        Yields
        ------
        IndexRebuild
        """
        await self.note_gap("it is being built again, or that was cut short")
        await self.clear()
        yield IndexRebuild(self)
        await self.note_gap("")


@frozen
class IndexRebuild:
    """An index that is being built.

    Attributes
    ----------
    index : Index
        To be filled from the object store; empty at first.
    """

    index: Index

    async def changes(self) -> AsyncGenerator[tuple[InstancePath, StoredInstance | None], None]:
        """Iterate over what has changed meanwhile in the index that still answers.

        Called once the new index is filled. When the iterator has ended, nothing changes any more
        until the new one has taken its place.

        Yields
        ------
        (InstancePath, StoredInstance or None)
            A path, and what is served under it now; None if it was removed.
        """
        return
        yield
