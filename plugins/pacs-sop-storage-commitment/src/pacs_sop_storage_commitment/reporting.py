"""Results: found out once, and reported until the requestor has taken them (PS3.4 J.3.3)."""

import asyncio
import logging
from typing import Final

import anyio
from attrs import evolve
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.contracts import (
    AssociationError,
    AuditEvent,
    AuditValue,
    EventAction,
    Link,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Proposal,
    RequestedAssociation,
)
from pacs_core.dimse import StatusCategory, category
from pacs_sop_storage_commitment.checking import check
from pacs_sop_storage_commitment.config import StorageCommitmentConfig
from pacs_sop_storage_commitment.interface import (
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.references import PUSH_MODEL, PUSH_MODEL_INSTANCE, write_report

_log = logging.getLogger(__name__)

MARGIN: Final = 1.0
"""Seconds between the last moment for a report on the association and a report on another."""

_ANSWER_LEAVES: Final = 0.02
"""Seconds after which the response to N-ACTION has left: many do not expect the report before."""

COMMITTED: Final = PluginAuditKind("sop-storage-commitment.committed")

_POINTLESS: Final = frozenset({0x0112, 0x0113, 0x0114, 0x0115, 0x0118, 0x0119, 0x0122, 0x0211})
"""Statuses of N-EVENT-REPORT that will be the same next time (PS3.7 §10.1.1.1.8)."""


class Reporter:
    """Finds out and reports results, whoever is to be told how.

    Parameters
    ----------
    node : Node
    config : StorageCommitmentConfig
    """

    def __init__(self, node: Node, config: StorageCommitmentConfig) -> None:
        self.config = config
        self._node = node
        self._transactions = node.find(Transactions)

    async def find_out(self, number: int) -> Transaction:
        """Return a transaction with its result, which is found out if it is not known."""
        transaction = await self._transactions.find(number)
        if transaction.state is not TransactionState.ASKED:
            return transaction
        references = transaction.request.references
        failures = await check(self._node.archive, references, self.config.check)
        await self._record(transaction, len(references) - len(failures), len(failures))
        await self._transactions.set_result(number, failures)
        return evolve(transaction, state=TransactionState.CHECKED, failures=failures)

    async def report_on(
        self, association: Link | RequestedAssociation, transaction: Transaction
    ) -> None:
        """Report on an association: that of the request, or one of our own.

        Raises
        ------
        AssociationError
            It is over.
        JobFailedError, ValueError
            The requestor does not take it.
        """
        ae_title = self._node.settings.ae_title
        kind, information = write_report(transaction.request, transaction.failures, ae_title)
        response, _ = await association.n_event_report(
            PUSH_MODEL, PUSH_MODEL_INSTANCE, kind, information
        )
        # Many release the association with their answer, which ends the task.
        await asyncio.shield(self._conclude(transaction, response.status or 0))

    async def report_anew(self, transaction: Transaction) -> None:
        """Report on an association of our own, with our role that of SCP (PS3.7 D.3.3.4).

        Raises
        ------
        AssociationError, ValueError
            It is to be tried again.
        JobFailedError
            That is pointless.
        """
        peer = self._node.settings.peer(transaction.peer)
        if peer is None:
            raise JobFailedError(
                f"there is no [peers] table with the AE title {transaction.peer}, to which the "
                "result is to be reported"
            )
        proposal = Proposal(PUSH_MODEL, scu=False, scp=True)
        async with self._node.connect(peer, [proposal]) as association:
            await self.report_on(association, transaction)

    async def _conclude(self, transaction: Transaction, status: int) -> None:
        if status in _POINTLESS:
            raise JobFailedError(f"{transaction.peer} answered the report with {status:04X}H")
        if category(status) is StatusCategory.FAILURE:
            raise ValueError(f"{transaction.peer} answered the report with {status:04X}H")
        await self._transactions.set_state(transaction.number, TransactionState.REPORTED)

    async def _record(self, transaction: Transaction, committed: int, failed: int) -> None:
        details: dict[str, AuditValue] = {
            "transaction_uid": transaction.request.transaction_uid,
            "committed": committed,
            "failed": failed,
        }
        origin = Origin("DIMSE", transaction.peer, self._node.settings.ae_title)
        outcome = Outcome.WARNING if failed else Outcome.SUCCESS
        await self._node.audit.record(
            AuditEvent(COMMITTED, outcome, origin, details, action=EventAction.EXECUTE)
        )


class ReportHandler(JobHandler):
    """Reports what was not reported on the association of the request.

    Parameters
    ----------
    node : Node
    config : StorageCommitmentConfig
    """

    def __init__(self, node: Node, config: StorageCommitmentConfig) -> None:
        self._reporter = Reporter(node, config)
        self._transactions = node.find(Transactions)

    async def run(self, job: RunningJob) -> None:
        """See base."""
        number = int(job.arguments["transaction"])
        try:
            transaction = await self._reporter.find_out(number)
        except KeyError as error:
            raise JobFailedError(str(error.args[0])) from error
        if transaction.state is not TransactionState.CHECKED:
            return  # has been reported by then
        try:
            await self._reporter.report_anew(transaction)
        except JobFailedError as error:
            await self._transactions.set_state(number, TransactionState.GIVEN_UP, str(error))
            raise


class ForgetHandler(JobHandler):
    """Forgets transactions that ended long ago, and promises that are over.

    Parameters
    ----------
    node : Node
    config : StorageCommitmentConfig
    """

    def __init__(self, node: Node, config: StorageCommitmentConfig) -> None:
        self._transactions = node.find(Transactions)
        self._config = config

    async def run(self, job: RunningJob) -> None:
        """See base."""
        await self._transactions.forget(self._config.keep, self._config.protect_for)


async def report_soon(reporter: Reporter, link: Link, number: int) -> None:
    """Report on the association of a request, as long as the configuration says.

    A job does what is not done by then.
    """
    await anyio.sleep(_ANSWER_LEAVES)
    try:
        with anyio.move_on_after(reporter.config.wait):
            transaction = await reporter.find_out(number)
            # Another association that asked the same may have its report by now: this one, too.
            if not link.has_ended:
                await reporter.report_on(link, transaction)
    except (AssociationError, JobFailedError, ValueError) as error:
        _log.info("the result of a commitment is reported later: %s", error)
    except Exception:
        _log.exception("a commitment could not be looked at; it is tried again")
