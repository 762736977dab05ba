"""Records of plugins: a broken one is a record, not an exception."""

import traceback
from enum import Enum
from types import ModuleType

from attrs import define, field
from importlib_metadata import Distribution

from pacs_core.plugins.code import CodeFrame, code_roots, own_frames


class PluginState(Enum):
    """Whether a plugin takes part."""

    LOADED = "loaded"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"


class Fault(Enum):
    """What a quarantined plugin has done wrong."""

    NAME_TAKEN = "name taken"
    MISSING_MODULE = "missing module"
    IMPORT = "does not load"
    API_VERSION = "API version"
    UNKNOWN_HOOK = "unknown hook"
    CONFIG_CLASS = "config class"
    CONFIG_TABLE = "config table"
    HOOK_RAISED = "hook raised"
    WRONG_RESULT = "wrong result"
    CONFLICT = "conflict"
    REQUIREMENT = "requirement"
    START = "does not start"


class PluginError(Exception):
    """A plugin that the configuration requires, or any under ``strict``, was quarantined."""


def summarize_error(error: BaseException) -> str:
    """Return an exception in one line, for the reason of a quarantine."""
    return f"{type(error).__name__}: {error}"


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
    fault : Fault or None
        What kind of reason that is, of a quarantine.
    traceback : str
        Of the exception behind a quarantine, if there was one.
    frames : tuple of CodeFrame
        The last of its frames that are in the plugin's own code, innermost last.
    deprecated : tuple of str
        What it uses that will be removed.
    hooks : tuple of str
        Hooks that it implements.
    kinds : set of str
        What it has registered: ``"service provider"``, ``"index"``, ...
    plugin : module or object
        None unless it was imported.
    metadata : Distribution or None
        Of the distribution, if it has any.
    """

    name: str
    target: str
    distribution: str
    version: str
    state: PluginState = PluginState.LOADED
    reason: str = ""
    fault: Fault | None = None
    traceback: str = ""
    frames: tuple[CodeFrame, ...] = ()
    deprecated: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    kinds: set[str] = field(factory=set)
    plugin: ModuleType | object | None = field(default=None, repr=False)
    metadata: Distribution | None = field(default=None, repr=False)

    @property
    def source(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"

    def quarantine(self, fault: Fault, reason: str, error: BaseException | None = None) -> None:
        """Take the plugin out, and keep why."""
        self.state = PluginState.QUARANTINED
        self.reason = reason
        self.fault = fault
        if error is not None:
            self.traceback = "".join(traceback.format_exception(error))
            self.frames = own_frames(error, code_roots(self.target))

    def restore(self, was: "PluginRecord") -> None:
        """Be again as `was`, a copy that was made before a quarantine."""
        self.state, self.reason, self.fault = was.state, was.reason, was.fault
        self.traceback, self.frames = was.traceback, was.frames
