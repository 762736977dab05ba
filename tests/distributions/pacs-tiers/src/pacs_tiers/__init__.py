"""A store of two others: what was moved to the cold one is NEARLINE, and is recalled."""

from collections.abc import Callable

from attrs import field, frozen, validators

from pacs_core.contracts import (
    CliCommandDescriptor,
    ObjectStore,
    ObjectStoreDescriptor,
    Setup,
    StoreName,
)
from pacs_core.plugins import hookimpl


@frozen
class Tiers:
    """A table ``[stores.NAME]`` of ``type = "tiers"``.

    Attributes
    ----------
    hot, cold : StoreName
        Stores that make the same keys.
    seconds : float
        What the cold one takes for an object, in the manner of a tape.
    """

    hot: StoreName
    cold: StoreName
    seconds: float = field(default=0.0, validator=validators.ge(0))


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Return the type of store."""
    return [ObjectStoreDescriptor("tiers", _create, Tiers)]


def _create(setup: Setup) -> ObjectStore:
    from pacs_tiers.store import TieredStore

    config = setup.config(Tiers)
    hot, cold = setup.store(config.hot), setup.store(config.cold)
    return TieredStore(hot, cold, setup.directory, config.seconds)


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command that moves a study."""
    return [CliCommandDescriptor("tiers cool", "Move a study to the cold store.", _load)]


def _load() -> Callable[..., int | None]:
    from pacs_tiers.command import cool

    return cool
