"""Modality Performed Procedure Step of pacs-core (PS3.4 Annex F).

What other plugins import is :mod:`pacs_sop_mpps.api`.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    ServiceDescriptor,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.conformance import DESCRIPTION, INITIATES, STATUSES
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.service import MppsProvider
from pacs_sop_mpps.sop_classes import MPPS, MPPS_NOTIFICATION, MPPS_RETRIEVE
from pacs_sop_mpps.subscribers import ReportChanges, Subscribers

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "MppsConfig",
    "pacs_capabilities",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_service_providers",
    "pacs_services",
    "pacs_web_routes",
]

_SOP_CLASSES = {
    MPPS: SopClassSupport(name="Modality Performed Procedure Step"),
    MPPS_RETRIEVE: SopClassSupport(name="Modality Performed Procedure Step Retrieve"),
    MPPS_NOTIFICATION: SopClassSupport(name="Modality Performed Procedure Step Notification"),
}
_HAS_WORKLIST = find_spec("pacs_sop_worklist") is not None
_ATTEMPTS = 100
"""Of telling a peer: with pauses of up to an hour, about four days."""


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-mpps]``."""
    return MppsConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return which peers are named that there are not."""
    config = setup.config(MppsConfig)
    return [
        f"plugin.sop-mpps.{key}: there is no [peers.{name}]"
        for key, names in (("forward", config.forward), ("notify", config.notify))
        for name in names
        if name not in setup.settings.peers
    ]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the performed steps to those who follow them."""
    config = setup.config(MppsConfig)

    def create(node: Node) -> PerformedProcedureSteps:
        from pacs_sop_mpps.database_steps import DatabasePerformedSteps

        return DatabasePerformedSteps(
            node.find(Database),
            node.find(JobQueue),
            config,
            settings=lambda: node.settings,
            has_worklist=_HAS_WORKLIST,
            archive=node.archive,
        )

    needed = (Database, JobQueue)
    capabilities = [
        CapabilityDescriptor("mpps", PerformedProcedureSteps, create, requires=needed),
        CapabilityDescriptor("mpps-subscribers", Subscribers, lambda _: Subscribers()),
    ]
    if config.completes_studies:
        from pacs_sop_mpps.completeness import StepCompleteness

        capabilities.append(
            CapabilityDescriptor(
                "mpps-completeness",
                StepCompleteness,
                StepCompleteness,
                requires=(PerformedProcedureSteps,),
                always=True,
            )
        )
    return capabilities


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register N-CREATE, N-SET and N-GET of performed steps."""
    config = setup.config(MppsConfig)

    def create(node: Node) -> ServiceProvider:
        return MppsProvider(node, config)

    return [
        ServiceProviderDescriptor(
            "mpps",
            _SOP_CLASSES,
            create,
            description=DESCRIPTION,
            statuses=STATUSES,
            initiates=INITIATES,
            requires=(PerformedProcedureSteps, Subscribers),
        )
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what reports changes on the associations of each worker."""
    needed = (PerformedProcedureSteps, Subscribers)
    return [ServiceDescriptor("mpps-report", ReportChanges, requires=needed)]


@hookimpl
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the jobs that tell peers and the worklist, and that forget old steps."""
    config = setup.config(MppsConfig)

    def create_teller(channel: str, node: Node) -> JobHandler:
        from pacs_sop_mpps.outbox import Channel
        from pacs_sop_mpps.sending import TellPeer

        return TellPeer(node, Channel(channel))

    def create_expiry(node: Node) -> JobHandler:
        from pacs_sop_mpps.upkeep import ForgetOldSteps

        return ForgetOldSteps(node, config)

    def create_worklist(node: Node) -> JobHandler:
        from pacs_sop_mpps.worklist import TellWorklist

        return TellWorklist(node)

    kind = partial(JobKind, requires=(PerformedProcedureSteps,))
    told = partial(kind, concurrency=4, attempts=_ATTEMPTS, first_pause=5.0, timeout=300.0)
    kinds = [
        told("mpps.forward", partial(create_teller, "forward"), "N-CREATE and N-SET to a peer"),
        told("mpps.notify", partial(create_teller, "notify"), "N-EVENT-REPORT to a peer"),
        kind("mpps.expire", create_expiry, "forgets old steps", schedule="23 3 * * *"),
    ]
    worklist = told("mpps.worklist", create_worklist, "moves entries of the worklist on")
    return [*kinds, worklist] if _HAS_WORKLIST else kinds


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return API and pages; without pacs-web nobody asks for them."""
    from pacs_sop_mpps.web import web_routes

    return web_routes()


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs mpps``."""
    summaries = {
        "list": "List performed procedure steps.",
        "show": "Show a performed procedure step.",
        "discontinue": "Discontinue a step whose modality has failed.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_sop_mpps import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"mpps {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
