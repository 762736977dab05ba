"""Object store of pacs-core that is made of others, fast and slow ones."""

from collections.abc import Callable
from functools import partial

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    Node,
    ObjectStore,
    ObjectStoreDescriptor,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_store_tiered.config import TieredConfig, TieringConfig
from pacs_store_tiered.interface import MIGRATE_JOB, Studies

__all__ = [
    "TieredConfig",
    "TieringConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_object_stores",
    "pacs_services",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.store-tiered]``."""
    return TieringConfig


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Return the type ``tiered`` of ``[stores.NAME]``."""
    return [ObjectStoreDescriptor("tiered", _create, TieredConfig)]


def _create(setup: Setup) -> ObjectStore:
    from pacs_store_tiered.store import TieredStore

    config = setup.config(TieredConfig)
    tiers = {tier: setup.store(name) for tier, name in config.names.items()}
    locks = config.locks or setup.directory / "locks"
    return TieredStore(tiers, locks, nearline=config.nearline, offline=config.offline)


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer what is known of studies."""

    def create(node: Node) -> Studies:
        from pacs_store_tiered.database_studies import DatabaseStudies

        return DatabaseStudies(node.find(Database))

    # The worker of jobs starts nothing that a kind of job requires.
    needed = bool(setup.config(TieringConfig).policies)
    return [
        CapabilityDescriptor("tiered-studies", Studies, create, (Database,), always=needed),
    ]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what follows studies, if policies ask for it."""

    def create(node: Node) -> ChangeConsumer:
        from pacs_store_tiered.following import FollowStudies

        return FollowStudies(node)

    if not setup.config(TieringConfig).policies:
        return []
    from pacs_store_tiered.following import CHANGES

    return [
        ChangeConsumerDescriptor(
            "store-tiered", create, CHANGES, begin="all", batch=256, requires=(Studies,)
        )
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what records recalls, and notes uses if policies ask for it, in each worker."""
    notes_uses = bool(setup.config(TieringConfig).policies)

    def create(node: Node) -> Service:
        from pacs_store_tiered.following import WatchStore

        return WatchStore(node, notes_uses)

    requires = (Studies,) if notes_uses else ()
    return [ServiceDescriptor("store-tiered-watch", create, requires=requires)]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what moves objects by policies, if there are any."""
    config = setup.config(TieringConfig)
    if not config.policies:
        return []

    def create(node: Node) -> JobHandler:
        from pacs_store_tiered.job import MigrateHandler

        return MigrateHandler(node, config)

    return [
        JobKind(
            MIGRATE_JOB,
            create,
            "Moves objects between tiers, by the policies.",
            attempts=3,
            first_pause=60.0,
            timeout=24 * 3600.0,
            schedule=config.schedule,
            requires=(Studies,),
        )
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs tiers``."""
    summaries = {
        "status": "Show how much lies in each tier.",
        "plan": "Show what the policies would move now.",
        "migrate": "Move what the policies say, or some studies.",
        "recall": "Bring studies to the hot tier.",
        "pin": "Keep studies where they are, whatever the policies say.",
        "unpin": "Leave studies to the policies again.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_store_tiered import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"tiers {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
