"""Metrics of the node for Prometheus, at ``/metrics`` of the web server."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pacs_core.contracts import (
    AccessDescriptor,
    AssociationObserver,
    CliCommandDescriptor,
    Node,
    Service,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = ["pacs_access", "pacs_cli_commands", "pacs_services", "pacs_web_routes"]


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return the observer of associations."""

    def create(node: Node) -> AssociationObserver:
        from pacs_metrics.counting import AssociationCounter

        return AssociationCounter(node)

    return [AccessDescriptor("metrics", observer=create)]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return who counts operations, and measures each process now and then."""

    def create(node: Node) -> Service:
        from pacs_metrics.sampling import Sampler

        return Sampler(node)

    return [ServiceDescriptor("metrics", create)]


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> "list[WebRoutesDescriptor]":
    """Return the page that Prometheus scrapes."""
    from pacs_metrics.page import web_routes

    return web_routes()


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return ``pacs metrics``."""

    def load(name: str) -> Callable[[], None]:
        from pacs_metrics import commands

        return {"alerts": commands.alerts, "dashboard": commands.dashboard}[name]

    summaries = {
        "alerts": "Print alert rules for Prometheus.",
        "dashboard": "Print a dashboard for Grafana.",
    }
    return [
        CliCommandDescriptor(f"metrics {name}", summary, partial(load, name))
        for name, summary in summaries.items()
    ]
