"""A line of text for everyone who connects, made of what other plugins contribute."""

from attrs import frozen

from pacs_beacon import hooks
from pacs_beacon.beacon import Beacon, Counter
from pacs_beacon.keeper import Keeper
from pacs_core.contracts import ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl

__all__ = ["Config", "Counter"]


@frozen
class Config:
    """The table ``[plugin.beacon]``."""

    port: int = 0
    fail_after: int = 0
    colour: str = "red"


@hookimpl
def pacs_hookspecs() -> object:
    """Publish the hook by which plugins add words."""
    return hooks


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_check(setup: Setup) -> list[str]:
    """Refuse colours that nobody sees."""
    colour = setup.config(Config).colour
    return [f"colour: {colour} cannot be seen"] if colour == "black" else []


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the beacon, for each worker, and its keeper, for the node."""
    config = setup.config(Config)
    return [
        ServiceDescriptor(
            "beacon",
            lambda node: Beacon(node, config.fail_after),
            bind=("127.0.0.1", config.port),
            describe_address=lambda host, port: f"beacon: {host}:{port}",
            requires=(Counter,),
            after=("keeper",),
        ),
        ServiceDescriptor(
            "keeper", lambda node: Keeper(node, setup.plugin.directory), scope="node"
        ),
    ]
