"""Common ground of C-MOVE and C-GET: matches are counted, then sent one by one."""

import logging
from abc import abstractmethod
from operator import attrgetter
from typing import ClassVar, Final

from anyio import CancelScope
from attrs import define, field

from pacs_core.api.auditing import Details
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    Form,
    InstanceIdentity,
    Level,
    Node,
    Operation,
    Query,
    RecallProgress,
    Response,
    Sending,
)
from pacs_core.dataset import texts
from pacs_core.dimse import DimseError, Status
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.identifier import Identifier, mismatch, retrieve_query
from pacs_sop_query_retrieve.models import STUDY_INSTANCE_UID, InformationModel
from pacs_sop_query_retrieve.negotiation import RETRIEVE_OPTIONS
from pacs_sop_query_retrieve.progress import Progress, Reporter
from pacs_sop_query_retrieve.provider import QueryRetrieveProvider

# Theory of operation
#
# A retrieval has three phases: count, recall, send. Counting comes first because the first pending
# response states the number of sub-operations that remain, because limits must refuse before
# anything is sent, and because a destination is proposed all forms that there are. Between the
# passes instances may come or go: the second pass sends what is there then, and the numbers of the
# responses are kept within what was announced by `Progress`.
#
# Recalling asks for all that is not online at once, so that a slow medium can order its work, and
# reports pending responses meanwhile.
#
# A cancellation is looked for before each sub-operation, and ends sending there: what has begun is
# completed, so that its outcome is known and counted (PS3.7 9.3.3.3).

_log = logging.getLogger(__name__)


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
    """How many instances match a query, and in what forms they are stored."""

    archive: Archive
    query: Query
    count: int = 0
    forms: set[Form] = field(factory=set)


class RetrieveProvider(QueryRetrieveProvider):
    """Sends what matches to a destination, as it is stored or converted."""

    incomplete: ClassVar[Status] = Status.SUBOPERATIONS_COMPLETE_WITH_FAILURES

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        super().__init__(node, config)
        self.options = RETRIEVE_OPTIONS

    @abstractmethod
    def _begin_sending(self, operation: Operation, matches: Matches) -> Sending:
        """Send what matches to where it is to go."""

    async def _perform(
        self,
        operation: Operation,
        model: InformationModel,
        identifier: Identifier,
        details: Details,
    ) -> Response:
        # Matches are read twice, once to be counted and once to be sent: Number of Remaining
        # Sub-operations stands in the first pending response (PS3.7 §9.1.4.1.5), and what is
        # proposed to the destination depends on all forms there are. Keeping the instances of the
        # first pass would cost memory for each.
        details["study_instance_uids"] = texts(identifier.keys, STUDY_INSTANCE_UID)
        relational = self._is_relational(operation, model, identifier)
        query = retrieve_query(identifier, model, relational=relational)
        archive = self._archive(operation)
        matches = await self._count(archive, operation, query, Studies(identifier))
        progress = Progress(matches.count)
        reporter = Reporter(operation, progress, self._config.pending_interval)
        if matches.count and not operation.cancelled:
            await self._recall(operation, matches, reporter, details)
        if matches.count and not operation.cancelled:
            await self._send(operation, matches, reporter)
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
        matches, most = Matches(archive, query), self._config.max_suboperations
        async with closing(archive.instances(query)) as instances:
            async for instance in instances:
                studies.check(instance.identity)
                matches.count += 1
                matches.forms.add((instance.identity.sop_class_uid, instance.transfer_syntax_uid))
                if most is not None and matches.count > most:
                    raise DimseError(
                        Status.OUT_OF_RESOURCES_MATCHES, f"More than {most} instances match"
                    )
                if operation.cancelled:
                    break
        return matches

    async def _recall(
        self, operation: Operation, matches: Matches, reporter: Reporter, details: Details
    ) -> None:
        """Wait for what is not online; pending responses keep the requestor from giving up.

        What does not come fails by itself when its turn comes to be sent (PS3.3 C.4.23.1.1).
        """
        with CancelScope() as scope:

            async def report(progress: RecallProgress) -> None:
                if not details.get("recalled"):
                    _log.info("a retrieval waits for instances that are recalled")
                details["recalled"] = progress.online + progress.waiting + progress.failed
                await reporter.report()
                if operation.cancelled:
                    scope.cancel()

            await matches.archive.recall(matches.query, report)

    async def _send(self, operation: Operation, matches: Matches, reporter: Reporter) -> None:
        async with self._begin_sending(operation, matches) as sending:
            async for sent in sending:
                uid = sent.instance.identity.sop_instance_uid
                reporter.progress.record(uid, sent.status, sent.reason)
                await reporter.report()
