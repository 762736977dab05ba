"""Modality Worklist of pacs-core (PS3.4 Annex K).

What other plugins import is :mod:`pacs_sop_worklist.api`.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pacs_database.api import Database

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.plugins import hookimpl
from pacs_sop_worklist.config import WorklistConfig
from pacs_sop_worklist.conformance import DESCRIPTION, STATUSES
from pacs_sop_worklist.find import WorklistFind
from pacs_sop_worklist.interface import Worklist
from pacs_sop_worklist.restricting import MODALITY_WORKLIST_FIND
from pacs_sop_worklist.upkeep import CHANGES

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "WorklistConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_service_providers",
    "pacs_services",
    "pacs_web_routes",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.sop-worklist]``."""
    return WorklistConfig


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the list to those who feed it, or tell how far a step has come."""

    def create(node: Node) -> Worklist:
        from pacs_sop_worklist.database_worklist import DatabaseWorklist

        return DatabaseWorklist(node.find(Database), node.archive)

    return [CapabilityDescriptor("worklist", Worklist, create, requires=(Database,))]


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register C-FIND of the Modality Worklist Information Model."""
    config = setup.config(WorklistConfig)

    def create(node: Node) -> ServiceProvider:
        return WorklistFind(node, config)

    sop_class = SopClassSupport(name="Modality Worklist Information Model - FIND")
    return [
        ServiceProviderDescriptor(
            "worklist-find",
            {MODALITY_WORKLIST_FIND: sop_class},
            create,
            description=DESCRIPTION,
            statuses=STATUSES,
            requires=(Worklist,),
        )
    ]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what watches the folder, if there is one, and what forgets old steps."""
    config = setup.config(WorklistConfig)

    def create_expiry(node: Node) -> Service:
        from pacs_sop_worklist.upkeep import Expiry

        return Expiry(node, config)

    def create_watch(node: Node) -> Service:
        from pacs_sop_worklist.folder import FolderWatch

        assert config.folder is not None  # noqa: S101  else there is no descriptor
        return FolderWatch(node, config.folder, config)

    once = partial(ServiceDescriptor, scope="node", requires=(Worklist,))
    services = [once("worklist-expiry", create_expiry)]
    return services if config.folder is None else [*services, once("worklist-folder", create_watch)]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what moves steps on by the images of their studies."""
    config = setup.config(WorklistConfig)

    def create(node: Node) -> ChangeConsumer:
        from pacs_sop_worklist.upkeep import FollowStudies

        return FollowStudies(node, config)

    return [ChangeConsumerDescriptor("sop-worklist", create, kinds=CHANGES, requires=(Worklist,))]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return API and pages; without pacs-web nobody asks for them."""
    from pacs_sop_worklist.web import web_routes

    return web_routes()


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs worklist``."""
    summaries = {
        "add": "Put a step on the worklist.",
        "import": "Put the steps in files on the worklist.",
        "list": "List the steps of the worklist.",
        "show": "Show a step of the worklist.",
        "cancel": "Take a step off the worklist.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_sop_worklist import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"worklist {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
