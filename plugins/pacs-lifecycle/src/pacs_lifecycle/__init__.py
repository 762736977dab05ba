"""What an archive of pacs-core keeps, and for how long."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    DeletionBin,
    DeletionGuard,
    DeletionGuardDescriptor,
    Node,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_lifecycle.config import NEEDS, LifecycleConfig
from pacs_lifecycle.interface import EMPTY_JOB, SWEEP_JOB, Studies, WaitingBin

__all__ = [
    "LifecycleConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_deletion_guards",
    "pacs_job_kinds",
]

_LONGEST_RUN: Final = 24 * 3600.0


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.lifecycle]``."""
    return LifecycleConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return the peers that rules need and that are not there."""
    known = setup.settings.peers
    return [
        f"rules: {rule.name}: {need}: there is no peer with an AE title of that name; there are "
        f"{', '.join(sorted(known)) or 'none'}"
        for rule in setup.config(LifecycleConfig).rules
        for need in rule.needs
        if need.partition(":")[0] in NEEDS and need.partition(":")[2] not in known
    ]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer what is known of studies, and the bin: to this plugin, and to the archive."""
    config = setup.config(LifecycleConfig)

    def create_studies(node: Node) -> Studies:
        from pacs_lifecycle.database_studies import DatabaseStudies

        return DatabaseStudies(node.find(Database))

    def create_bin(node: Node) -> WaitingBin:
        from pacs_lifecycle.database_bin import DatabaseBin

        return DatabaseBin(node, config.bin)

    # The worker of jobs starts nothing that a kind of job requires.
    return [
        CapabilityDescriptor(
            "lifecycle-studies", Studies, create_studies, (Database,), always=bool(config.rules)
        ),
        CapabilityDescriptor("lifecycle-bin", WaitingBin, create_bin, (Database,), always=True),
        CapabilityDescriptor(
            "deletion-bin", DeletionBin, lambda node: node.find(WaitingBin), (WaitingBin,)
        ),
    ]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what follows studies, if rules ask for it."""
    if not setup.config(LifecycleConfig).rules:
        return []
    from pacs_lifecycle.following import CHANGES

    def create(node: Node) -> ChangeConsumer:
        from pacs_lifecycle.following import FollowStudies

        return FollowStudies(node)

    return [
        ChangeConsumerDescriptor(
            "lifecycle", create, CHANGES, begin="all", batch=256, requires=(Studies,)
        )
    ]


@hookimpl
def pacs_deletion_guards(setup: Setup) -> list[DeletionGuardDescriptor]:
    """Return what keeps studies that are held."""

    def create(node: Node) -> DeletionGuard:
        from pacs_lifecycle.guard import HoldGuard

        return HoldGuard(node)

    return [DeletionGuardDescriptor("lifecycle", create, requires=(Studies,))]


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
    if not config.rules:
        return [empty]
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
    return [empty, sweep]


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
