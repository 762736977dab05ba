"""Routing of pacs-core: rules say what goes to which peers, and it arrives.

What other plugins import is :mod:`pacs_routing.api`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pacs_database.api import Database
from pacs_jobs.api import JobHandler, JobKind, JobQueue

from pacs_core.contracts import (
    CapabilityDescriptor,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    CliCommandDescriptor,
    Node,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_routing.config import RoutingConfig
from pacs_routing.interface import Deliveries
from pacs_routing.routes import Routes
from pacs_routing.rules import is_dicomweb, problems_of

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "RoutingConfig",
    "pacs_capabilities",
    "pacs_change_consumers",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_job_kinds",
    "pacs_web_routes",
]

_ALWAYS = 1_000_000_000
"""Attempts of the job of a peer that is away: its deliveries are given up, not the job."""
_DAY = 24 * 3600.0


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.routing]``."""
    return RoutingConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return all that is wrong with the rules, and what they need and is not installed."""
    return list(_problems(setup))


def _problems(setup: Setup) -> Iterator[str]:
    config = setup.config(RoutingConfig)
    yield from problems_of(config, setup.settings)
    for name, rule in config.rules.items():
        if rule.commit and not find_spec("pacs_sop_storage_commitment"):
            yield f"rules.{name}.commit: pip install 'pacs-routing[commitment]'"
        web = [peer for peer in rule.to if is_dicomweb(peer, setup.settings)]
        if web and not find_spec("pacs_dicomweb"):
            yield f"rules.{name}.to: {web[0]} needs pip install 'pacs-routing[dicomweb]'"


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Offer the rules, and what waits to be sent."""

    def create_deliveries(node: Node) -> Deliveries:
        from pacs_routing.database_deliveries import DatabaseDeliveries

        return DatabaseDeliveries(node.find(Database), node.find(JobQueue))

    def create_routes(node: Node) -> Routes:
        return Routes(node, setup)

    # Always: each worker of a node sends, also those in which the consumer does not run.
    needed = (Database, JobQueue)
    return [
        CapabilityDescriptor("routing-rules", Routes, create_routes, always=True),
        CapabilityDescriptor(
            "routing", Deliveries, create_deliveries, requires=needed, always=True
        ),
    ]


@hookimpl
def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
    """Return what hears of instances and of complete studies."""

    def create(node: Node) -> ChangeConsumer:
        from pacs_routing.consumer import RoutingConsumer

        return RoutingConsumer(node)

    if not setup.config(RoutingConfig).rules:
        return []  # so that the index need not write changes for it
    kinds = frozenset({ChangeKind.ADDED, ChangeKind.REPLACED, ChangeKind.STUDY_COMPLETE})
    needed = (Routes, Deliveries)
    return [ChangeConsumerDescriptor("routing", create, kinds, batch=200, requires=needed)]


@hookimpl(optionalhook=True)
def pacs_job_kinds(setup: Setup) -> list[JobKind]:
    """Return what sends, what asks for commitment, and what tidies up."""
    config = setup.config(RoutingConfig)

    def create_send(node: Node) -> JobHandler:
        from pacs_routing.sending import SendHandler

        return SendHandler(node)

    def create_commit(node: Node) -> JobHandler:
        from pacs_routing.committing import CommitHandler

        return CommitHandler(node)

    def create_upkeep(node: Node) -> JobHandler:
        from pacs_routing.upkeep import UpkeepHandler

        return UpkeepHandler(node)

    return [
        JobKind(
            "routing.send",
            create_send,
            "Sends what waits for a peer.",
            # Each lane has a key of its own: there are never more jobs than lanes.
            concurrency=1000,
            attempts=_ALWAYS,
            timeout=_DAY,
            requires=(Routes, Deliveries),
            first_pause=config.first_pause,
            longest_pause=config.longest_pause,
        ),
        JobKind(
            "routing.commit",
            create_commit,
            "Asks a peer to commit to what it was sent.",
            concurrency=1000,
            attempts=50,
            requires=(Routes, Deliveries),
            first_pause=config.first_pause,
            longest_pause=config.longest_pause,
        ),
        JobKind(
            "routing.upkeep",
            create_upkeep,
            "Gives up what was not sent for days, and forgets what was.",
            schedule="*/10 * * * *",
            requires=(Routes, Deliveries),
        ),
    ]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs routes``."""
    summaries = {
        "list": "List routes, with what was sent, waits and failed.",
        "show": "Show what goes, and went, for a study, an instance or a peer.",
        "test": "Say where a file would go, and why.",
        "send": "Send a study, series or instance to a peer, however long it is away.",
        "retry": "Try again what failed, and at once what waits.",
        "cancel": "Let what waits for a peer not be sent any more.",
    }

    def load(verb: str) -> Callable[..., int | None]:
        from pacs_routing import commands

        return commands.BY_VERB[verb]

    return [
        CliCommandDescriptor(f"routes {verb}", summary, partial(load, verb))
        for verb, summary in summaries.items()
    ]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return API and page; without pacs-web nobody asks for them."""
    from pacs_routing.web import web_routes

    return web_routes()
