"""Lifecycle of what an archive of pacs-core keeps, and for how long."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pacs_database.api import Database
from pacs_jobs.api import JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
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
from pacs_lifecycle.archives import problem_of
from pacs_lifecycle.config import LifecycleConfig, PrefetchConfig
from pacs_lifecycle.interface import (
    Findings,
    LifecycleWarnings,
    Quotas,
    Studies,
    WaitingBin,
)

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

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
    "pacs_web_routes",
]


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
    named = {f"prefetch.{name}": each.peers for name, each in config.prefetch.items()}
    named["scrub"] = config.scrub.mend_from
    found = [
        f"{where}: {problem}"
        for where, peers in named.items()
        for peer in peers
        if (problem := problem_of(peer, setup.settings))
    ]
    if config.scrub.mend_from_backup and find_spec("pacs_backup") is None:
        found.append("scrub.mend_from_backup: pip install 'pacs-lifecycle[backup]'")
    if _prefetch(config, "order") and find_spec("pacs_sop_worklist") is None:
        found.append("prefetch: on = 'order' needs pacs-sop-worklist")
    return found + [
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

    def create_findings(node: Node) -> Findings:
        from pacs_lifecycle.database_findings import DatabaseFindings

        return DatabaseFindings(node.find(Database))

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
            always=True,  # for holds
        ),
        CapabilityDescriptor(
            "lifecycle-quotas", Quotas, create_quotas, (Database,), always=bool(config.quotas)
        ),
        CapabilityDescriptor(
            "lifecycle-findings",
            Findings,
            create_findings,
            (Database,),
            always=config.finds_faults,
        ),
        CapabilityDescriptor(
            "lifecycle-warnings",
            LifecycleWarnings,
            create_warnings,
            (*((Quotas,) if config.quotas else ()), *((Findings,) if config.finds_faults else ())),
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
    return [
        *([_following(config)] if config.follows_studies else ()),
        *([_following_arrivals(config)] if _prefetch(config, "study") else ()),
    ]


def _prefetch(config: LifecycleConfig, on: str) -> dict[str, PrefetchConfig]:
    return {name: rule for name, rule in config.prefetch.items() if rule.on == on}


def _following_arrivals(config: LifecycleConfig) -> ChangeConsumerDescriptor:
    def create(node: Node) -> ChangeConsumer:
        from pacs_lifecycle.prefetching import FollowArrivals

        return FollowArrivals(node, _prefetch(config, "study"))

    kinds = frozenset({ChangeKind.ADDED})
    return ChangeConsumerDescriptor("lifecycle-prefetch", create, kinds, requires=(JobQueue,))


def _following(config: LifecycleConfig) -> ChangeConsumerDescriptor:
    from pacs_lifecycle.following import CHANGES

    def create(node: Node) -> ChangeConsumer:
        from pacs_lifecycle.following import FollowStudies
        from pacs_lifecycle.quotas import Counting, Quota

        return FollowStudies(node, Counting(node, Quota.read(config.quotas)))

    return ChangeConsumerDescriptor(
        "lifecycle",
        create,
        CHANGES,
        begin="all",
        batch=256,
        requires=(Studies, *((Quotas, JobQueue) if config.quotas else ())),
    )


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
    """Return what counts, and what looks how much room there is, if room is to be made."""
    config = setup.config(LifecycleConfig)

    def create(node: Node) -> Service:
        from pacs_lifecycle.cleaning import WatchRoom

        return WatchRoom(node, config)

    def create_meter(node: Node) -> Service:
        from pacs_lifecycle.metering import MeterLifecycle

        return MeterLifecycle(node, config)

    room = ServiceDescriptor("lifecycle-room", create, scope="node", requires=(JobQueue,))
    meter = ServiceDescriptor("lifecycle-meter", create_meter, scope="node", requires=(WaitingBin,))
    # A node that has none of this is not to wake up for it each minute.
    is_used = config.follows_studies or config.finds_faults or config.room.clean_below
    return [
        *([meter] if is_used else ()),
        *([room] if config.room.clean_below else ()),
        *([_watching(config)] if _prefetch(config, "order") else ()),
    ]


def _watching(config: LifecycleConfig) -> ServiceDescriptor:
    from pacs_sop_worklist.api import Worklist

    def create(node: Node) -> Service:
        from pacs_lifecycle.prefetching import WatchWorklist

        return WatchWorklist(node, _prefetch(config, "order"))

    needed = (JobQueue, Worklist)
    return ServiceDescriptor("lifecycle-worklist", create, scope="node", requires=needed)


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what the configuration asks for, and what empties the bin."""
    from pacs_lifecycle.kinds import job_kinds

    return list(job_kinds(setup.config(LifecycleConfig)))


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return the API; without pacs-web nobody asks for it."""
    from pacs_lifecycle.web import web_routes

    return web_routes(setup.config(LifecycleConfig))


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
        "faults": "List objects that are damaged, missing or unknown.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_lifecycle import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"lifecycle {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
