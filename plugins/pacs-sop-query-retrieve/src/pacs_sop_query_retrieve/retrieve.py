"""What C-MOVE and C-GET have in common: matches are counted, then sent one by one."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from operator import attrgetter
from typing import ClassVar, Final

from attrs import define, field

from pacs_core.contracts import (
    Archive,
    InstanceIdentity,
    Level,
    Node,
    Operation,
    Query,
    Response,
    StoredInstance,
)
from pacs_core.dataset import texts
from pacs_core.dimse import DimseError, Status, describe
from pacs_sop_query_retrieve.auditing import Details
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.forms import Pair, pair_of
from pacs_sop_query_retrieve.identifier import Identifier, mismatch, retrieve_query
from pacs_sop_query_retrieve.models import STUDY_INSTANCE_UID, Model
from pacs_sop_query_retrieve.negotiation import RETRIEVE_OPTIONS
from pacs_sop_query_retrieve.outgoing import (
    Conversion,
    Item,
    Missing,
    Outgoing,
    UnsendableError,
    outgoing,
)
from pacs_sop_query_retrieve.progress import Progress, Reporter
from pacs_sop_query_retrieve.provider import QueryRetrieveProvider
from pacs_sop_query_retrieve.streams import closing


class Destination(ABC):
    """Where instances are sent.

    Attributes
    ----------
    reason : str
        Why it takes nothing, or nothing more; empty if it does.
    """

    reason: str = ""

    @abstractmethod
    def refusal(self, instance: StoredInstance) -> str:
        """Return why an instance cannot be sent; nothing if it can."""

    def conversion(self, item: Outgoing) -> Conversion | Missing | None:
        """Return what becomes of an instance; None if it is sent as it is stored."""
        return None

    @abstractmethod
    async def store(self, item: Outgoing | Conversion) -> int:
        """Send an instance and return the status of the C-STORE.

        Raises
        ------
        UnsendableError
            It cannot be given a form that the destination takes.
        """


class Studies:
    """Refuses a UID that names something in two studies, where nobody said which study is meant.

    UIDs are unique (PS3.5 §9), but some modalities repeat them: two patients' images must not go
    out as one series.

    Parameters
    ----------
    identifier : Identifier
    """

    def __init__(self, identifier: Identifier) -> None:
        given = texts(identifier.keys, STUDY_INSTANCE_UID)
        self._uid_of = None if given else _BELOW_STUDY.get(identifier.level)
        self._study_of: dict[str, str] = {}

    def check(self, identity: InstanceIdentity) -> None:
        """Take a match.

        Raises
        ------
        DimseError
            A900H: what was asked for is in another study, too.
        """
        if self._uid_of is None:
            return
        study = identity.study_instance_uid
        if self._study_of.setdefault(self._uid_of(identity), study) != study:
            raise mismatch(STUDY_INSTANCE_UID, "The UID is in two studies: StudyInstanceUID needed")


_BELOW_STUDY: Final = {
    Level.SERIES: attrgetter("series_instance_uid"),
    Level.IMAGE: attrgetter("sop_instance_uid"),
}


@define
class Matches:
    """How many instances match, and in what forms."""

    count: int = 0
    pairs: set[Pair] = field(factory=set)


class RetrieveProvider(QueryRetrieveProvider):
    """Sends what matches to a destination, as it is stored or converted."""

    incomplete: ClassVar[Status] = Status.SUBOPERATIONS_COMPLETE_WITH_FAILURES

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        super().__init__(node, config)
        self.options = RETRIEVE_OPTIONS

    @abstractmethod
    def _batches(self, operation: Operation, pairs: set[Pair]) -> Iterable[frozenset[Pair]]:
        """Divide up what must be negotiated; each batch is sent to a destination of its own."""

    @abstractmethod
    def _destination(
        self, operation: Operation, pairs: frozenset[Pair]
    ) -> AbstractAsyncContextManager[Destination]:
        """Open a destination for instances of these forms."""

    async def _perform(
        self, operation: Operation, model: Model, identifier: Identifier, details: Details
    ) -> Response:
        details["study_instance_uids"] = texts(identifier.keys, STUDY_INSTANCE_UID)
        relational = self._is_relational(operation, model, identifier)
        query = retrieve_query(identifier, model, relational=relational)
        archive = self._archive(operation)
        matches = await self._count(archive, operation, query, Studies(identifier))
        progress = Progress(matches.count)
        reporter = Reporter(operation, progress, self._config.pending_interval)
        for pairs in self._batches(operation, matches.pairs):
            if operation.cancelled:
                break
            async with self._destination(operation, pairs) as destination:
                await self._send(archive, query, pairs, destination, reporter)
        details.update(
            completed=progress.completed,
            failed=progress.failed,
            warning=progress.warning,
            remaining=progress.remaining,
        )
        return progress.response(operation.context.transfer_syntax, cancelled=operation.cancelled)

    def _archive(self, operation: Operation) -> Archive:
        """Return the archive as the requestor may read it."""
        return self._node.archive.on_behalf_of(operation.association.origin)

    async def _count(
        self, archive: Archive, operation: Operation, query: Query, studies: Studies
    ) -> Matches:
        """Count the sub-operations before the first begins; memory stays bounded."""
        matches, most = Matches(), self._config.max_suboperations
        async with closing(archive.instances(query)) as instances:
            async for instance in instances:
                studies.check(instance.identity)
                matches.count += 1
                matches.pairs.add(pair_of(instance))
                if most is not None and matches.count > most:
                    raise DimseError(
                        Status.OUT_OF_RESOURCES_MATCHES, f"More than {most} instances match"
                    )
                if operation.cancelled:
                    break
        return matches

    async def _send(
        self,
        archive: Archive,
        query: Query,
        pairs: frozenset[Pair],
        destination: Destination,
        reporter: Reporter,
    ) -> None:
        progress = reporter.progress
        async with outgoing(
            archive,
            query,
            lambda instance: pair_of(instance) in pairs,
            destination.refusal,
            destination.conversion,
        ) as items:
            async for item in items:
                await _store(item, destination, progress)
                await reporter.report()
                if reporter.operation.cancelled:
                    return


async def _store(item: Item, destination: Destination, progress: Progress) -> None:
    status: int = Status.PROCESSING_FAILURE
    reason = ""
    try:
        if isinstance(item, Missing):
            reason = item.reason
        else:
            status = await destination.store(item)
    except UnsendableError as error:
        reason = _what_is_wrong(error)
    finally:
        await item.close()
    reason = destination.reason or reason or f"C-STORE was answered {describe(status)}"
    progress.record(item.instance.identity.sop_instance_uid, status, reason)


def _what_is_wrong(error: UnsendableError) -> str:
    """Return the cause without what it foiled: Error Comment has room for 64 characters."""
    failure = error.__cause__ or error
    return str(failure.__cause__ or failure)
