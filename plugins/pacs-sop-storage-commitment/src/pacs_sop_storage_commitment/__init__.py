"""Storage Commitment of pacs-core (PS3.4 Annex J): the archive's word that it has what it was sent.

What other plugins import is :mod:`pacs_sop_storage_commitment.api`.
"""

from collections.abc import Callable
from functools import partial

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    CliCommandDescriptor,
    DeletionGuard,
    DeletionGuardDescriptor,
    Node,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_storage_commitment.config import StorageCommitmentConfig
from pacs_sop_storage_commitment.conformance import DESCRIPTION, INITIATES, STATUSES
from pacs_sop_storage_commitment.interface import REPORT_JOB, Requester, Transactions
from pacs_sop_storage_commitment.references import PUSH_MODEL

__all__ = [
    "StorageCommitmentConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_deletion_guards",
    "pacs_job_kinds",
    "pacs_service_providers",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-storage-commitment]``."""
    return StorageCommitmentConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the transactions, and who asks peers."""

    def create_transactions(node: Node) -> Transactions:
        from pacs_sop_storage_commitment.database_transactions import DatabaseTransactions

        return DatabaseTransactions(node.find(Database))

    def create_requester(node: Node) -> Requester:
        from pacs_sop_storage_commitment.requesting import PeerRequester

        return PeerRequester(node)

    capabilities = [
        CapabilityDescriptor(
            "storage-commitment-transactions",
            Transactions,
            create_transactions,
            requires=(Database,),
        ),
        CapabilityDescriptor(
            "storage-commitment", Requester, create_requester, requires=(Transactions, Database)
        ),
    ]
    if setup.config(StorageCommitmentConfig).completes_studies:
        from pacs_sop_storage_commitment.completeness import CommitmentCompleteness

        capabilities.append(
            CapabilityDescriptor(
                "storage-commitment-completeness",
                CommitmentCompleteness,
                CommitmentCompleteness,
                requires=(Transactions,),
                always=True,
            )
        )
    return capabilities


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the Push Model, as SCP and, for reports of peers, as SCU."""
    config = setup.config(StorageCommitmentConfig)

    def create(node: Node) -> ServiceProvider:
        from pacs_sop_storage_commitment.provider import StorageCommitmentProvider

        return StorageCommitmentProvider(node, config)

    sop_class = SopClassSupport(scu=True, name="Storage Commitment Push Model SOP Class")
    return [
        ServiceProviderDescriptor(
            "storage-commitment",
            {PUSH_MODEL: sop_class},
            create,
            description=DESCRIPTION,
            initiates=INITIATES,
            statuses=STATUSES,
            requires=(Database, JobQueue, Requester, Transactions),
        )
    ]


@hookimpl
def pacs_deletion_guards(setup: Setup) -> list[DeletionGuardDescriptor]:
    """Return what holds instances that were committed to."""
    config = setup.config(StorageCommitmentConfig)

    def create(node: Node) -> DeletionGuard:
        from pacs_sop_storage_commitment.guard import CommitmentGuard

        return CommitmentGuard(node, config)

    return [DeletionGuardDescriptor("storage-commitment", create, requires=(Transactions,))]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what notes that instances went that were committed to."""

    def create(node: Node) -> ChangeConsumer:
        from pacs_sop_storage_commitment.breaking import BrokenPromises

        return BrokenPromises(node)

    kinds = frozenset({ChangeKind.REMOVED})
    return [
        ChangeConsumerDescriptor(
            "storage-commitment", create, kinds=kinds, requires=(Transactions,)
        )
    ]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what reports results, for as long as it takes, and what forgets them."""
    config = setup.config(StorageCommitmentConfig)

    def create_report(node: Node) -> JobHandler:
        from pacs_sop_storage_commitment.reporting import ReportHandler

        return ReportHandler(node, config)

    def create_forget(node: Node) -> JobHandler:
        from pacs_sop_storage_commitment.reporting import ForgetHandler

        return ForgetHandler(node, config)

    longest = 3600.0
    attempts = 12 + round(config.report_for * 24 * 3600 / longest)
    return [
        JobKind(
            REPORT_JOB,
            create_report,
            "Reports what is committed to to who has asked.",
            concurrency=4,
            attempts=attempts,
            first_pause=10.0,
            longest_pause=longest,
            requires=(Transactions,),
        ),
        JobKind(
            "sop-storage-commitment.forget",
            create_forget,
            "Forgets transactions that ended long ago.",
            schedule="17 4 * * *",
            requires=(Transactions,),
        ),
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs commit`` and ``pacs commitments``."""
    summaries = {
        "commit": "Ask a peer whether it keeps instances of this archive.",
        "commitments list": "List requests for commitment, and what became of them.",
        "commitments show": "Show a request for commitment.",
    }

    def load(name: str) -> Callable[..., int | None]:
        from pacs_sop_storage_commitment import commands

        return commands.BY_NAME[name]

    return [
        CliCommandDescriptor(name, summary, partial(load, name))
        for name, summary in summaries.items()
    ]
