"""What an archive of pacs-core keeps, and for how long."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    DeletionBin,
    DeletionGuard,
    DeletionGuardDescriptor,
    IngestFilter,
    IngestFilterDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import (
    CLEAN_JOB,
    COUNT_JOB,
    EMPTY_JOB,
    QUOTA_JOB,
    SWEEP_JOB,
    LifecycleWarnings,
    Quotas,
    Studies,
    WaitingBin,
)

__all__ = [
    "LifecycleConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_deletion_guards",
    "pacs_ingest_filters",
    "pacs_job_kinds",
    "pacs_services",
]

_LONGEST_RUN: Final = 24 * 3600.0


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.lifecycle]``."""
    return LifecycleConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return the peers that rules need and that are not there."""
    known, config = setup.settings.peers, setup.config(LifecycleConfig)
    needing = {f"rules: {rule.name}": rule.needs for rule in config.rules}
    needing |= {f"quotas.{name}": each.needs for name, each in config.quotas.items()}
    return [
        f"{where}: {need}: there is no peer with an AE title of that name; there are "
        f"{', '.join(sorted(known)) or 'none'}"
        for where, needs in needing.items()
        for need in needs
        if need.partition(":")[2] not in known
    ]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer what is known of studies, and the bin: to this plugin, and to the archive."""
    config = setup.config(LifecycleConfig)

    def create_studies(node: Node) -> Studies:
        from pacs_lifecycle.database_studies import DatabaseStudies

        return DatabaseStudies(node.find(Database))

    def create_quotas(node: Node) -> Quotas:
        from pacs_lifecycle.database_quotas import DatabaseQuotas

        return DatabaseQuotas(node.find(Database))

    def create_warnings(node: Node) -> LifecycleWarnings:
        from pacs_lifecycle.warning import FoundWarnings

        return FoundWarnings(node, config)

    def create_bin(node: Node) -> WaitingBin:
        from pacs_lifecycle.database_bin import DatabaseBin

        return DatabaseBin(node, config.bin)

    # The worker of jobs starts nothing that a kind of job requires.
    return [
        CapabilityDescriptor(
            "lifecycle-studies",
            Studies,
            create_studies,
            (Database,),
            always=config.follows_studies,
        ),
        CapabilityDescriptor(
            "lifecycle-quotas", Quotas, create_quotas, (Database,), always=bool(config.quotas)
        ),
        CapabilityDescriptor(
            "lifecycle-warnings",
            LifecycleWarnings,
            create_warnings,
            (Quotas,) if config.quotas else (),
            always=True,
        ),
        CapabilityDescriptor("lifecycle-bin", WaitingBin, create_bin, (Database,), always=True),
        CapabilityDescriptor(
            "deletion-bin", DeletionBin, lambda node: node.find(WaitingBin), (WaitingBin,)
        ),
    ]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what follows studies, if rules ask for it."""
    config = setup.config(LifecycleConfig)
    if not config.follows_studies:
        return []
    from pacs_lifecycle.following import CHANGES

    def create(node: Node) -> ChangeConsumer:
        from pacs_lifecycle.following import FollowStudies
        from pacs_lifecycle.quotas import Counting, Quota

        return FollowStudies(node, Counting(node, Quota.read(config.quotas)))

    return [
        ChangeConsumerDescriptor(
            "lifecycle",
            create,
            CHANGES,
            begin="all",
            batch=256,
            requires=(Studies, *((Quotas, JobQueue) if config.quotas else ())),
        )
    ]


@hookimpl
def pacs_deletion_guards(setup: Setup) -> list[DeletionGuardDescriptor]:
    """Return what keeps studies that are held."""

    def create(node: Node) -> DeletionGuard:
        from pacs_lifecycle.guard import HoldGuard

        return HoldGuard(node)

    return [DeletionGuardDescriptor("lifecycle", create, requires=(Studies,))]


@hookimpl
def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
    """Return what refuses instances over a quota, if one is to refuse any."""
    config = setup.config(LifecycleConfig)
    refusing = {name: each for name, each in config.quotas.items() if each.over == "refuse"}
    if not refusing:
        return []

    def create(node: Node) -> IngestFilter:
        from pacs_lifecycle.quotas import Quota, QuotaFilter

        return QuotaFilter(node, Quota.read(refusing))

    return [IngestFilterDescriptor("lifecycle-quotas", create)]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what looks how much room there is, if room is to be made."""
    config = setup.config(LifecycleConfig)
    if not config.room.clean_below:
        return []

    def create(node: Node) -> Service:
        from pacs_lifecycle.cleaning import WatchRoom

        return WatchRoom(node, config)

    return [ServiceDescriptor("lifecycle-room", create, scope="node", requires=(JobQueue,))]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what deletes by rules, if there are any, and what empties the bin."""
    config = setup.config(LifecycleConfig)

    def create_sweep(node: Node) -> JobHandler:
        from pacs_lifecycle.jobs import SweepHandler

        return SweepHandler(node, config)

    def create_empty(node: Node) -> JobHandler:
        from pacs_lifecycle.jobs import EmptyHandler

        return EmptyHandler(node, config.bin.keep)

    empty = JobKind(
        EMPTY_JOB,
        create_empty,
        "Removes what has waited in the bin for long enough.",
        attempts=3,
        first_pause=60.0,
        timeout=_LONGEST_RUN,
        schedule=config.bin.schedule,
        requires=(WaitingBin,),
    )
    sweep = JobKind(
        SWEEP_JOB,
        create_sweep,
        "Deletes studies, by the rules.",
        attempts=3,
        first_pause=60.0,
        timeout=_LONGEST_RUN,
        schedule=config.schedule,
        requires=(Studies, WaitingBin),
    )
    return [
        empty,
        *([sweep] if config.rules else ()),
        *([_clean_kind(config)] if config.room.clean_below else ()),
        *(_quota_kinds(config) if config.quotas else ()),
    ]


def _clean_kind(config: LifecycleConfig) -> JobKind:
    def create(node: Node) -> JobHandler:
        from pacs_lifecycle.cleaning import CleanHandler

        return CleanHandler(node, config)

    needed = (Studies, WaitingBin)
    what = "Makes room: the bin first, then the oldest studies that rules let go."
    return JobKind(CLEAN_JOB, create, what, attempts=1, timeout=_LONGEST_RUN, requires=needed)


def _quota_kinds(config: LifecycleConfig) -> list[JobKind]:
    def create_quota(node: Node) -> JobHandler:
        from pacs_lifecycle.cleaning import QuotaHandler

        return QuotaHandler(node, config)

    def create_count(node: Node) -> JobHandler:
        from pacs_lifecycle.cleaning import CountHandler

        return CountHandler(node, config)

    needed = (Studies, Quotas)
    return [
        JobKind(
            QUOTA_JOB, create_quota, "Deletes what is over a quota.",
            attempts=3, timeout=_LONGEST_RUN, schedule=config.schedule, requires=needed,
        ),
        JobKind(
            COUNT_JOB, create_count, "Counts anew what a quota is about.",
            attempts=10, timeout=_LONGEST_RUN, requires=needed,
        ),
    ]  # fmt: skip


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs lifecycle``."""
    summaries = {
        "plan": "Show what the rules would delete now, and what they would not, and why.",
        "run": "Delete now what the rules say.",
        "bin list": "List what was deleted and may be had back.",
        "bin restore": "Restore studies from the bin.",
        "bin empty": "Remove for good what is in the bin.",
        "hold": "Hold studies: nobody deletes them.",
        "release": "Hold studies no more.",
        "holds": "List the studies that are held.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_lifecycle import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"lifecycle {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
