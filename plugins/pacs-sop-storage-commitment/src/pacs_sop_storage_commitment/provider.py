"""Storage Commitment Push Model as SCP, and reports of peers as SCU (PS3.4 Annex J)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pacs_database.api import Database
from pacs_jobs.api import JobQueue, NewJob

from pacs_core.api.auditing import Details, audit_work
from pacs_core.contracts import (
    AssociationInfo,
    AuditKind,
    Node,
    Operation,
    Response,
    ServiceProvider,
    Setup,
)
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_storage_commitment.config import StorageCommitmentConfig
from pacs_sop_storage_commitment.interface import (
    REPORT_JOB,
    Direction,
    Requester,
    Transactions,
)
from pacs_sop_storage_commitment.reading import read_information, receive_report
from pacs_sop_storage_commitment.references import (
    PUSH_MODEL_INSTANCE,
    REQUEST,
    read_request,
)
from pacs_sop_storage_commitment.reporting import MARGIN, Reporter, report_soon

# Theory of operation
#
# N-ACTION is answered when the request, and the job that will report its result, are in the
# database: from then on the result will be reported, whatever happens to the process. A task then
# looks at the instances and reports on the same association, as long as `wait` says. The job is due
# when that time is over. It finds what the task has done and does the rest: the look, or the report
# on an association of its own.


class StorageCommitmentProvider(ServiceProvider):
    """Answers N-ACTION, and takes N-EVENT-REPORT of peers that this archive has asked.

    Parameters
    ----------
    node : Node
    config : StorageCommitmentConfig
    """

    applies_restrictions: ClassVar[bool] = False

    def __init__(self, node: Node, config: StorageCommitmentConfig) -> None:
        self._node = node
        self._config = config
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}

    async def start(self) -> None:
        """See base."""
        self._database = self._node.find(Database)
        self._jobs = self._node.find(JobQueue)
        self._transactions = self._node.find(Transactions)
        self._requester = self._node.find(Requester)
        self._reporter = Reporter(self._node, self._config)

    async def stop(self) -> None:
        """End what still runs; the jobs do it."""
        for association in list(self._tasks):
            await self._end(association)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self._config = self._reporter.config = setup.config(StorageCommitmentConfig)

    async def handle(self, operation: Operation) -> Response:
        """Answer N-ACTION and N-EVENT-REPORT, and 0211H to any other request."""
        works = {
            CommandField.N_ACTION_RQ: self._act,
            CommandField.N_EVENT_REPORT_RQ: self._take_report,
        }
        work = works.get(operation.command.field)
        if work is None:
            raise DimseError(Status.UNRECOGNIZED_OPERATION, "Expected N-ACTION-RQ")
        return await audit_work(self._node.audit, AuditKind.N_SERVICE, operation, work)

    async def _act(self, operation: Operation, details: Details) -> Response:
        command = operation.command
        if command.sop_instance_uid != PUSH_MODEL_INSTANCE:
            comment = f"the SOP instance is {PUSH_MODEL_INSTANCE}"
            raise DimseError(Status.NO_SUCH_SOP_INSTANCE, comment)
        if command.action_type_id != REQUEST:
            raise DimseError(Status.NO_SUCH_ACTION_TYPE, "the only action is 1")
        most = self._config.max_instances
        request = read_request(await read_information(operation, most), most)
        details["transaction_uid"] = request.transaction_uid
        details["instances"] = len(request.references)
        peer = operation.association.origin.calling_ae_title
        async with self._database.begin() as connection:
            found = await self._transactions.add(connection, Direction.RECEIVED, peer, request)
            due = datetime.now(UTC) + timedelta(seconds=self._config.wait + MARGIN)
            job = NewJob(
                REPORT_JOB, {"transaction": found.number}, due=due, key=f"commitment {peer}"
            )
            await self._jobs.enqueue(job, connection=connection)
        if self._config.wait:
            self._report_soon(operation, found.number)
        return Response(Status.SUCCESS)

    async def _take_report(self, operation: Operation, details: Details) -> Response:
        uid, committed, failures = await receive_report(operation, self._config.max_instances)
        details["transaction_uid"] = uid
        details["committed"], details["failed"] = len(committed), len(failures)
        await self._requester.take_report(
            operation.association.origin.calling_ae_title, uid, committed, failures
        )
        return Response(Status.SUCCESS)

    def _report_soon(self, operation: Operation, number: int) -> None:
        task = asyncio.create_task(report_soon(self._reporter, operation.link, number))
        of_association = self._tasks.setdefault(operation.association.id, set())
        of_association.add(task)
        task.add_done_callback(of_association.discard)

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """End what would be reported on it."""
        await self._end(association.id)

    async def _end(self, association: str) -> None:
        tasks = self._tasks.pop(association, set())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
