"""Finds plugins, imports them one by one, and calls their hooks one by one.

pluggy keeps specifications and implementations; what it does not do is done here: nothing that
one plugin does wrong reaches another (compare conda#12096, simonw/llm#1280).
"""

import logging
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from types import ModuleType
from typing import Final, cast

import pluggy
from importlib_metadata import Distribution, EntryPoint, entry_points

from pacs_core.plugins import hookspecs
from pacs_core.plugins.deprecation import RENAMED_HOOKS, Adapter, RenamedHook
from pacs_core.plugins.markers import API_VERSION, ENTRY_POINT_GROUP, PROJECT
from pacs_core.plugins.records import (
    Fault,
    PluginError,
    PluginRecord,
    PluginState,
    summarize_error,
)
from pacs_core.plugins.settings import PluginPolicy

# Theory of operation
#
# Loading has three passes over all plugins, because each needs the whole result of the one before:
#
#   import    each entry point is loaded, in the order of the policy
#   publish   hooks that plugins specify themselves are added to those of the kernel
#   register  each plugin is given to pluggy, and its hooks are compared with what there is
#
# Only in the third is it known whether a hook exists, since its publisher may come later in the
# order than those who implement it.
#
# Every step runs under `_guard`: whatever it raises becomes the reason of a quarantine, in the
# record of that plugin, and the others go on. The exceptions are KeyboardInterrupt, which is the
# user's, and what `[plugins] required` or `strict` name, which the application checks when loading
# is over. A plugin that is disabled is not imported at all: its import may be what is wrong.
#
# Hooks are called one plugin at a time and not through pluggy's own call, for three reasons. One
# that raises must not end the call. Each plugin gets arguments of its own (its `setup`). And an
# implementation under an old name of a hook still serves, through an adapter.
#
# A quarantined plugin is unregistered from pluggy at once, so that no later hook of it is called.

logger = logging.getLogger(__name__)

PUBLISHING_HOOK = "pacs_hookspecs"
"""Is called before any other, while plugins are loaded: it says which hooks there are."""

Implementation = Callable[[Mapping[str, object]], object]

_Identity = tuple[str, str, str]
"""Distribution, version and target of an entry point."""
_UNKNOWN: Final = ("unknown", "0")
"""Distribution and version of what has no metadata."""


class UnknownHookError(PluginError):
    """A plugin implements a hook that this node does not have."""


class TakenHookError(PluginError):
    """A plugin publishes a hook whose name is taken."""


class ApiVersionError(PluginError):
    """A plugin was built for another version of hooks and contracts."""


class PluginManager:
    """The plugins of this environment, under a policy.

    Parameters
    ----------
    policy : PluginPolicy
    found : iterable of EntryPoint or None
        Instead of those of the environment.
    further : iterable of EntryPoint
        Besides those.
    specifications : module or object
        Holds the hook specifications.
    renamed : mapping of str to RenamedHook
        By old name: what hooks were called.
    """

    def __init__(
        self,
        policy: PluginPolicy | None = None,
        found: Iterable[EntryPoint] | None = None,
        *,
        further: Iterable[EntryPoint] = (),
        specifications: ModuleType | type = hookspecs,
        renamed: Mapping[str, RenamedHook] = RENAMED_HOOKS,
    ) -> None:
        self.policy = policy or PluginPolicy()
        self._on_trial = False
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(specifications)
        self._renamed = renamed
        points = [*(entry_points(group=ENTRY_POINT_GROUP) if found is None else found), *further]
        self.records = [self._load(name, points) for name, points in self._by_name(points)]
        # All are imported before the first is checked: a plugin may implement a hook that
        # another, later in the order, publishes.
        for record in self.loaded:
            self._guard(record, self._publish)
        for record in self.loaded:
            self._guard(record, self._register)

    def _by_name(
        self, points: Iterable[EntryPoint]
    ) -> list[tuple[str, dict[_Identity, EntryPoint]]]:
        groups: dict[str, dict[_Identity, EntryPoint]] = defaultdict(dict)
        for point in points:
            groups[point.name].setdefault(_identity(point), point)
        return sorted(groups.items(), key=lambda item: self.policy.rank(item[0]))

    def _load(self, name: str, points: Mapping[_Identity, EntryPoint]) -> PluginRecord:
        identity, point = next(iter(points.items()))
        metadata = None if identity[:2] == _UNKNOWN else cast(Distribution, point.dist)
        record = PluginRecord(name, identity[2], *identity[:2], metadata=metadata)
        if name in self.policy.disabled:
            record.state, record.reason = PluginState.DISABLED, "disabled by [plugins] disabled"
        elif len(points) > 1:
            sources = " and ".join(f"{name} {version}" for name, version, _ in points)
            reason = f"the name {name!r} is taken twice, by {sources}; uninstall one"
            record.quarantine(Fault.NAME_TAKEN, reason)
        else:
            self._guard(record, lambda record: _import(record, point))
        return record

    def _guard(self, record: PluginRecord, step: Callable[[PluginRecord], None]) -> None:
        """Take a step of loading a plugin; quarantine it if the step fails in any way."""
        try:
            step(record)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            reason = f"loading {record.target} failed: {summarize_error(error)}"
            faults = (fault for kind, fault in _FAULTS.items() if isinstance(error, kind))
            self.quarantine(record, next(faults, Fault.IMPORT), reason, error)

    def _publish(self, record: PluginRecord) -> None:
        """Add the specifications of hooks that a plugin publishes."""
        if self._pluggy.parse_hookimpl_opts(record.plugin, PUBLISHING_HOOK) is None:
            return
        specifications = getattr(record.plugin, PUBLISHING_HOOK)()
        names = [
            name
            for name in dir(specifications)
            if self._pluggy.parse_hookspec_opts(specifications, name) is not None
        ]
        if not names:
            raise PluginError(f"{PUBLISHING_HOOK} returned {specifications!r:.200}, without hooks")
        if taken := set(names) & {*self._hook_names(), *self._renamed}:
            raise TakenHookError(f"hooks of this name exist already: {', '.join(sorted(taken))}")
        self._pluggy.add_hookspecs(specifications)

    def _register(self, record: PluginRecord) -> None:
        self._pluggy.register(record.plugin, name=record.name)
        callers = self._pluggy.get_hookcallers(record.plugin) or []
        # A hook of another plugin, which need not be installed, may be implemented as optional.
        optional = {
            caller.name
            for caller in callers
            for implementation in caller.get_hookimpls()
            if implementation.plugin_name == record.name and implementation.optionalhook
        }
        unknown = [c.name for c in callers if not (self._knows(c) or c.name in optional)]
        if unknown:
            known = ", ".join(self._hook_names())
            raise UnknownHookError(
                f"unknown hooks {', '.join(unknown)}; this node knows {known}. Install the plugin "
                "that publishes them, or enable it, or mark them optionalhook=True"
            )
        callers = [caller for caller in callers if self._knows(caller)]
        record.hooks = tuple(sorted({self._current_name(caller.name) for caller in callers}))
        notes = [note for caller in callers for note in self._deprecation_notes(record, caller)]
        record.deprecated = tuple(notes)
        for note in notes:
            logger.warning("plugin %s (%s): %s", record.name, record.source, note)

    def _knows(self, caller: pluggy.HookCaller) -> bool:
        return caller.spec is not None or caller.name in self._renamed

    def _deprecation_notes(self, record: PluginRecord, caller: pluggy.HookCaller) -> Iterator[str]:
        if caller.spec is None:
            rename = self._renamed[caller.name]
            if not hasattr(record.plugin, rename.name):  # else it serves older nodes as well
                note = rename.note(caller.name)
                warnings.warn(f"plugin {record.name}: {note}", DeprecationWarning, stacklevel=2)
                yield note
            return
        if caller.spec.warn_on_impl:
            yield str(caller.spec.warn_on_impl)
        arguments = caller.spec.warn_on_impl_args or {}
        for implementation in caller.get_hookimpls():
            if implementation.plugin_name == record.name:
                yield from (str(arguments[a]) for a in implementation.argnames if a in arguments)

    def _current_name(self, hook: str) -> str:
        rename = self._renamed.get(hook)
        return rename.name if rename else hook

    def _hook_names(self) -> list[str]:
        return sorted(
            name
            for name, caller in vars(self._pluggy.hook).items()
            if isinstance(caller, pluggy.HookCaller) and caller.spec is not None
        )

    def publishes(self, hook: str) -> bool:
        """Tell whether the kernel or a plugin has specified a hook."""
        return hook in self._hook_names()

    @property
    def loaded(self) -> list[PluginRecord]:
        """Records of the plugins that take part, in order."""
        return [record for record in self.records if record.state is PluginState.LOADED]

    def call(
        self,
        hook: str,
        setups: Callable[[PluginRecord], object] | None = None,
        **arguments: object,
    ) -> Iterator[tuple[PluginRecord, object]]:
        """Call a hook of every loaded plugin in order; one that raises is quarantined.

        Parameters
        ----------
        hook : str
        setups : callable, optional
            Makes the argument `setup` of each plugin: every plugin has its own.
        **arguments
            As the specification names them.

        Yields
        ------
        PluginRecord, object
            The plugin, and what its implementation returned.
        """
        implementations = self._implementations(hook)
        for record in self.loaded:
            implementation = implementations.get(record.name)
            if implementation is None:
                continue
            if setups is not None:
                arguments["setup"] = setups(record)
            try:
                result = implementation(arguments)
            except (Exception, SystemExit) as error:
                reason = f"{hook} raised {summarize_error(error)}"
                self.quarantine(record, Fault.HOOK_RAISED, reason, error)
            else:
                yield record, result

    def _implementations(self, hook: str) -> dict[str, Implementation]:
        """Return a plugin's implementation of a hook, under its name or an old one."""
        old = [name for name, rename in self._renamed.items() if rename.name == hook]
        found: dict[str, Implementation] = {}
        for name in [*old, hook]:
            caller = getattr(self._pluggy.hook, name, None)
            adapt = self._renamed[name].adapt if name in old else None
            for implementation in caller.get_hookimpls() if caller else ():
                found[implementation.plugin_name] = _bind(implementation, adapt)
        return found

    def quarantine(
        self,
        record: PluginRecord,
        fault: Fault,
        reason: str,
        error: BaseException | None = None,
    ) -> None:
        """Take a plugin out: none of its hooks is called again."""
        record.quarantine(fault, reason, error)
        if record.plugin is not None and self._pluggy.has_plugin(record.name):
            self._pluggy.unregister(name=record.name)
        where = f" (at {record.frames[-1]})" if record.frames else ""
        if not self._on_trial:
            logger.warning(
                "plugin %s (%s) is quarantined: %s%s", record.name, record.source, reason, where
            )

    @contextmanager
    def trial(self) -> Iterator[list[str]]:
        """Undo, after a ``with`` block, every quarantine in it; the list then says why they were.

        So hooks can be called with settings that are not in effect, and perhaps never will be.
        """
        before = [(record, copy(record)) for record in self.loaded]
        reasons: list[str] = []
        self._on_trial = True
        try:
            yield reasons
        finally:
            self._on_trial = False
            for record, was in before:
                if record.state is not was.state:
                    reasons.append(f"plugin {record.name}: {record.reason}")
                    record.restore(was)
                    self._pluggy.register(record.plugin, name=record.name)

    def check_required(self) -> None:
        """Refuse to go on without a plugin that the policy requires.

        Raises
        ------
        PluginError
            Names every required plugin that is missing, disabled or quarantined, and why.
        """
        records = {record.name: record for record in self.records}
        required = set(self.policy.required)
        if self.policy.strict:
            required |= {name for name, r in records.items() if r.state is not PluginState.DISABLED}
        problems = [
            f"{name}: {records[name].reason if name in records else 'not installed'}"
            for name in sorted(required)
            if name not in records or records[name].state is not PluginState.LOADED
        ]
        if problems:
            raise PluginError("required plugins are not available: " + "; ".join(problems))


def _identity(point: EntryPoint) -> _Identity:
    try:
        # Its metadata are read and parsed each time that they are asked for: hence once.
        metadata = cast(Distribution, point.dist).metadata
        source = metadata["Name"], metadata["Version"]
    except Exception:  # no metadata, or broken ones, as an interrupted uninstall leaves them
        source = _UNKNOWN
    return *(source if all(source) else _UNKNOWN), point.value


def _import(record: PluginRecord, point: EntryPoint) -> None:
    record.plugin = point.load()
    # The same major version, and no later minor one: what a plugin may use is then all there.
    wanted = getattr(record.plugin, "PACS_API_VERSION", API_VERSION)
    if wanted[0] != API_VERSION[0] or tuple(wanted) > API_VERSION:
        raise ApiVersionError(
            f"it was built for plugin API {'.'.join(map(str, wanted))}, this node offers "
            f"{'.'.join(map(str, API_VERSION))}; install matching versions"
        )


def _bind(implementation: pluggy.HookImpl, adapt: Adapter | None) -> Implementation:
    def call(arguments: Mapping[str, object]) -> object:
        result = implementation.function(*(arguments[name] for name in implementation.argnames))
        return adapt(result) if adapt else result

    return call


_FAULTS: dict[type[BaseException], Fault] = {
    ModuleNotFoundError: Fault.MISSING_MODULE,
    ApiVersionError: Fault.API_VERSION,
    UnknownHookError: Fault.UNKNOWN_HOOK,
    TakenHookError: Fault.CONFLICT,
    pluggy.PluginValidationError: Fault.UNKNOWN_HOOK,
}
