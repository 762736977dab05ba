"""What is known of each plugin: a broken one is a record, not an exception."""

import traceback
from enum import Enum
from types import ModuleType

from attrs import define, field, frozen


class PluginState(Enum):
    """Whether a plugin takes part."""

    LOADED = "loaded"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"


class PluginError(Exception):
    """A plugin that the configuration requires, or any under ``strict``, was quarantined."""


@frozen
class PluginPolicy:
    """The table ``[plugins]``: which plugins take part, and in which order.

    Attributes
    ----------
    disabled : tuple of str
        Never imported.
    required : tuple of str
        The node does not start without them.
    order : tuple of str
        These come first, in this order; all others follow by name.
    strict : bool
        Every installed plugin is required.
    """

    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    strict: bool = False

    def rank(self, name: str) -> tuple[int, str]:
        """Return the sort key of a plugin."""
        return (self.order.index(name) if name in self.order else len(self.order), name)


@define
class PluginRecord:
    """One entry point of the group ``pacs_core.plugins``.

    Attributes
    ----------
    name : str
        The entry point's name.
    target : str
        What it points to.
    distribution, version : str
        Where it comes from.
    state : PluginState
    reason : str
        Why it is disabled or quarantined.
    traceback : str
        Of the exception behind a quarantine, if there was one.
    hooks : tuple of str
        Hooks that it implements.
    kinds : set of str
        What it has registered: ``"service provider"``, ``"index"``, ...
    plugin : module or object
        None unless it was imported.
    """

    name: str
    target: str
    distribution: str
    version: str
    state: PluginState = PluginState.LOADED
    reason: str = ""
    traceback: str = ""
    hooks: tuple[str, ...] = ()
    kinds: set[str] = field(factory=set)
    plugin: ModuleType | object | None = field(default=None, repr=False)

    @property
    def source(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"

    def quarantine(self, reason: str, error: BaseException | None = None) -> None:
        """Take the plugin out, and keep why."""
        self.state = PluginState.QUARANTINED
        self.reason = reason
        if error is not None:
            self.traceback = "".join(traceback.format_exception(error))
