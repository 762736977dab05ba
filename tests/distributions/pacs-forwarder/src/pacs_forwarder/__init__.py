"""Sends what is stored on to a peer, and says by TCP what was measured."""

from attrs import frozen

from pacs_core.contracts import (
    CapabilityDescriptor,
    EventHandlerDescriptor,
    ServiceDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_forwarder.forwarder import Forwarder
from pacs_forwarder.metrics import Metrics
from pacs_forwarder.outbox import Outbox, Recorder


@frozen
class ForwarderConfig:
    """The table ``[plugin.forwarder]``.

    Attributes
    ----------
    peer : str
        Name of the peer's table.
    port : int
        Where the numbers are told.
    """

    peer: str = ""
    port: int = 0


@hookimpl
def pacs_config() -> type:
    """Declare the table."""
    return ForwarderConfig


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Find a peer that is not configured."""
    name = setup.config(ForwarderConfig).peer
    return [] if name in setup.settings.peers else [f"peer: there is no peer {name!r}"]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return what waits to be sent."""
    return [CapabilityDescriptor("outbox", Outbox, lambda node: Outbox())]


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    """Return what puts stored instances there."""
    create = lambda node: Recorder(node.find(Outbox))  # noqa: E731
    return [EventHandlerDescriptor("recorder", create, requires=(Outbox,))]


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return what sends it, and what tells the numbers."""
    config = setup.config(ForwarderConfig)
    create = lambda node: Forwarder(node, node.settings.peers[config.peer])  # noqa: E731
    return [
        ServiceDescriptor("forwarder", create, requires=(Outbox,)),
        ServiceDescriptor("metrics", Metrics, bind=("127.0.0.1", config.port)),
    ]
