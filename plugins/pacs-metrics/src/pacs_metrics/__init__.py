"""Metrics of the node for Prometheus: ``/metrics`` of the web server, or of a port of its own."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pacs_core.contracts import (
    AccessDescriptor,
    AssociationObserver,
    CliCommandDescriptor,
    Hooks,
    Node,
    SecurityFinding,
    Service,
    ServiceDescriptor,
    Setup,
    Severity,
    is_loopback,
)
from pacs_core.plugins import hookimpl
from pacs_metrics.config import MetricsConfig

if TYPE_CHECKING:
    from pacs_web.api import WebRoutesDescriptor

__all__ = [
    "pacs_access",
    "pacs_check",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_security_findings",
    "pacs_services",
    "pacs_web_routes",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.metrics]``."""
    return MetricsConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return what is missing: it is imported by the first scrape, which is too late to say so."""
    if find_spec("prometheus_client") is None:
        return ["needs prometheus_client: pip install prometheus-client"]
    return []


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what is weak in the table."""
    config = setup.config(MetricsConfig)
    if config.port is None or is_loopback(config.host):
        return []
    what = f"whoever reaches {config.host} may read the metrics, which name peers and disks"
    return [SecurityFinding(Severity.LOW, what, "let only monitors reach the port")]


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

    def create_door(node: Node) -> Service:
        from pacs_metrics.door import MetricsDoor

        return MetricsDoor(node)

    services = [ServiceDescriptor("metrics", create)]
    config = setup.config(MetricsConfig)
    if config.port is not None:
        services.append(
            ServiceDescriptor(
                "metrics-port",
                create_door,
                bind=(config.host, config.port),
                describe_address=lambda host, port: f"metrics: http://{host}:{port}/metrics",
            )
        )
    return services


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
