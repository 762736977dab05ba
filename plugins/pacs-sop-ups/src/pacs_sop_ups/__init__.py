"""Unified Procedure Step of pacs-core (PS3.4 Annex CC).

What other plugins import is :mod:`pacs_sop_ups.api`.
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
    Service,
    ServiceDescriptor,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
    WebServicesStatement,
)
from pacs_core.plugins import hookimpl
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.conformance import DESCRIPTION, INITIATES, STATUSES, web_services
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.receivers import Receivers
from pacs_sop_ups.service import UpsProvider
from pacs_sop_ups.sop_classes import UPS_EVENT, UPS_PULL, UPS_PUSH, UPS_QUERY, UPS_WATCH

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "UpsConfig",
    "pacs_capabilities",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_conformance",
    "pacs_job_kinds",
    "pacs_service_providers",
    "pacs_services",
    "pacs_web_routes",
]

_SOP_CLASSES = {
    UPS_PUSH: SopClassSupport(name="Unified Procedure Step - Push"),
    UPS_WATCH: SopClassSupport(name="Unified Procedure Step - Watch"),
    UPS_PULL: SopClassSupport(name="Unified Procedure Step - Pull"),
    UPS_EVENT: SopClassSupport(name="Unified Procedure Step - Event"),
    UPS_QUERY: SopClassSupport(name="Unified Procedure Step - Query"),
}


_ATTEMPTS = 100
"""Of telling a receiver: with pauses of up to an hour, about four days."""


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-ups]``."""
    return UpsConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the procedure steps to those who hand out work, or do it."""
    config = setup.config(UpsConfig)

    def create(node: Node) -> UnifiedProcedureSteps:
        from pacs_sop_ups.database_steps import DatabaseProcedureSteps

        return DatabaseProcedureSteps(
            node.find(Database),
            node.find(JobQueue),
            config,
            settings=lambda: node.settings,
            archive=node.archive,
        )

    needed = (Database, JobQueue)
    return [
        CapabilityDescriptor("ups", UnifiedProcedureSteps, create, requires=needed),
        CapabilityDescriptor("ups-receivers", Receivers, lambda _: Receivers()),
    ]


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the operations of procedure steps."""
    config = setup.config(UpsConfig)

    def create(node: Node) -> ServiceProvider:
        return UpsProvider(node, config)

    return [
        ServiceProviderDescriptor(
            "ups",
            _SOP_CLASSES,
            create,
            description=DESCRIPTION,
            statuses=STATUSES,
            initiates=INITIATES,
            requires=(UnifiedProcedureSteps, Receivers),
        )
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what says that the node is there again, and what tells those who are connected."""

    def create(node: Node) -> Service:
        from pacs_sop_ups.upkeep import Announce

        return Announce(node)

    def create_teller(node: Node) -> Service:
        from pacs_sop_ups.telling import TellReceivers

        return TellReceivers(node)

    needed = (UnifiedProcedureSteps,)
    return [
        ServiceDescriptor("ups-announce", create, scope="node", requires=needed),
        ServiceDescriptor("ups-tell", create_teller, requires=(*needed, Receivers)),
    ]


@hookimpl
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the jobs that tell receivers, and that forget old steps."""
    config = setup.config(UpsConfig)

    def create_expiry(node: Node) -> JobHandler:
        from pacs_sop_ups.upkeep import ForgetOldSteps

        return ForgetOldSteps(node, config)

    def create_teller(node: Node) -> JobHandler:
        from pacs_sop_ups.sending import TellReceiver

        return TellReceiver(node, node.find(Receivers))

    kind = partial(JobKind, requires=(UnifiedProcedureSteps, Receivers))
    return [
        kind("ups.expire", create_expiry, "forgets old procedure steps", schedule="37 3 * * *"),
        kind(
            "ups.notify",
            create_teller,
            "N-EVENT-REPORT to who follows procedure steps",
            concurrency=4,
            attempts=_ATTEMPTS,
            first_pause=5.0,
            timeout=300.0,
        ),
    ]


@hookimpl
def pacs_conformance(setup: Setup) -> list[WebServicesStatement]:
    """Return UPS-RS, where there is a web server, for the conformance statement."""
    if find_spec("pacs_web") is None:
        return []
    return [web_services(setup.config(UpsConfig).web_root)]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return UPS-RS; without pacs-web nobody asks for it."""
    from pacs_sop_ups.web import web_routes

    return web_routes(setup.config(UpsConfig))


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs ups``."""
    summaries = {
        "create": "Hand out work: create a procedure step.",
        "list": "List procedure steps.",
        "show": "Show a procedure step.",
        "claim": "Claim a procedure step.",
        "complete": "Complete a procedure step that was claimed.",
        "cancel": "Cancel a procedure step, or ask its performer to.",
        "watch": "Print what happens to procedure steps.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_sop_ups import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"ups {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
