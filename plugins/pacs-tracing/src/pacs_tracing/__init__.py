"""Traces of the node by OpenTelemetry."""

from pacs_core.contracts import Node, Service, ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_tracing.config import TracingConfig

__all__ = ["TracingConfig", "pacs_check", "pacs_config", "pacs_services"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.tracing]``."""
    return TracingConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Return which secrets and files are not there."""
    config = setup.config(TracingConfig)
    problems = []
    for name, secret in config.headers.items():
        try:
            secret.reveal()
        except LookupError as error:
            problems.append(f"headers.{name}: {error}")
    if config.ca is not None and not config.ca.is_file():
        problems.append(f"ca: there is no file {config.ca}")
    return problems


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return who traces, if it is said where to."""
    config = setup.config(TracingConfig)
    if not config.endpoint:
        return []

    def create(node: Node) -> Service:
        from pacs_tracing.service import TracingService

        return TracingService(node, config)

    return [ServiceDescriptor("tracing", create)]
