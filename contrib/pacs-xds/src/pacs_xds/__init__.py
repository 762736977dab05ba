"""Cross-Enterprise Document Sharing for Imaging (IHE XDS-I.b, RAD TF-1 18) for pacs-core.

Imaging Document Source: studies are published by manifests (RAD-68), and their images handed out
(RAD-69). Imaging Document Consumer: manifests of others are found (ITI-18), and fetched (ITI-43)
together with their images (RAD-69).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    CliCommandDescriptor,
    Hooks,
    Node,
    SecurityFinding,
    SecurityStatement,
    Setup,
    WebServicesStatement,
)
from pacs_core.plugins import hookimpl
from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue
from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_xds.config import XdsConfig
from pacs_xds.interface import REGISTER, Registrations

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["XdsConfig"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.xds]``."""
    return XdsConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is wrong with ``[plugin.xds]``."""
    return [f"plugin.xds.{problem}" for problem in setup.config(XdsConfig).problems()]


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what is weak in the table."""
    from pacs_xds.statements import find_weaknesses

    return list(find_weaknesses(setup.config(XdsConfig)))


@hookimpl
def pacs_conformance(setup: Setup) -> list[WebServicesStatement | SecurityStatement]:
    """Return what the conformance statement says of XDS-I.b."""
    from pacs_xds.statements import state_conformance

    return list(state_conformance(setup.config(XdsConfig)))


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer registrations to the other parts of this plugin."""

    def create(node: Node) -> Registrations:
        from pacs_xds.database_registrations import DatabaseRegistrations

        return DatabaseRegistrations(node.find(Database), node.find(JobQueue))

    needed = (Database, JobQueue)
    return [CapabilityDescriptor("xds", Registrations, create, requires=needed, always=True)]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what hears of studies, if any are registered."""
    config = setup.config(XdsConfig)
    if config.repository is None:
        return []  # so that the index need not write changes for it

    def create(node: Node) -> ChangeConsumer:
        from pacs_xds.consumer import FollowStudies

        return FollowStudies(node, config.register == "complete")

    kinds = frozenset({ChangeKind.STUDY_COMPLETE, ChangeKind.UPDATED, ChangeKind.REMOVED})
    return [ChangeConsumerDescriptor("xds", create, kinds=kinds, requires=(Registrations,))]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return the job that registers a study."""
    config = setup.config(XdsConfig)

    def create(node: Node) -> JobHandler:
        from pacs_xds.desk import Desk
        from pacs_xds.registering import RegisterStudy

        return RegisterStudy(Desk(node, config, setup.directory))

    return [
        JobKind(
            REGISTER,
            create,
            "registers a study with a repository of documents",
            concurrency=2,
            attempts=config.attempts,
            first_pause=config.first_pause,
            longest_pause=config.longest_pause,
            requires=(Registrations,),
        )
    ]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return the Imaging Document Source, and the API; without pacs-web nobody asks for them."""
    config = setup.config(XdsConfig)

    def create_api(context: WebContext) -> "Sequence[BaseRoute]":
        from pacs_xds.web.rest import api_routes

        return api_routes(context)

    def describe(context: WebContext) -> Mapping[str, Any]:
        from pacs_xds.web.openapi import describe_api

        return describe_api()

    def create(context: WebContext) -> "Sequence[BaseRoute]":
        from pacs_xds.web.source import source_routes

        return source_routes(context, config, setup.directory)

    api = WebRoutesDescriptor("xds-api", create_api, "/api/xds", "XDS", openapi=describe)
    if not config.location_uid:
        return [api]
    # Without max_body: the limit is the source's own, for what is too large is a SOAP fault too.
    source = WebRoutesDescriptor("xds", create, config.path, "XDS-I.b", max_body=None)
    return [api, source]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs xds``."""
    summaries = {
        "list": "List manifests that are registered, or wait.",
        "register": "Have a study registered with the repository of documents.",
        "find": "Find documents of a patient in the registry.",
        "retrieve": "Retrieve a manifest, and its images into the archive.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_xds.commands import BY_VERB

        return BY_VERB[verb]

    return [
        CliCommandDescriptor(f"xds {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]
