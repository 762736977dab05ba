"""Finds plugins, imports them one by one, and calls their hooks one by one.

pluggy keeps specifications and implementations; what it does not do is done here: nothing that
one plugin does wrong reaches another (compare conda#12096, simonw/llm#1280).
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

import pluggy
from importlib_metadata import Distribution, EntryPoint, entry_points

from pacs_core.plugins import hookspecs
from pacs_core.plugins.markers import API_VERSION, ENTRY_POINT_GROUP, PROJECT
from pacs_core.plugins.records import PluginError, PluginPolicy, PluginRecord, PluginState

logger = logging.getLogger(__name__)


class PluginManager:
    """The plugins of this environment, under a policy.

    Parameters
    ----------
    policy : PluginPolicy
    found : iterable of EntryPoint or None
        Instead of those of the environment.
    """

    def __init__(
        self, policy: PluginPolicy | None = None, found: Iterable[EntryPoint] | None = None
    ) -> None:
        self.policy = policy or PluginPolicy()
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        points = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
        self.records = [self._load(name, points) for name, points in self._by_name(points)]

    def _by_name(self, points: Iterable[EntryPoint]) -> list[tuple[str, list[EntryPoint]]]:
        groups: dict[str, list[EntryPoint]] = defaultdict(list)
        for point in points:
            if all(_identity(point) != _identity(other) for other in groups[point.name]):
                groups[point.name].append(point)
        return sorted(groups.items(), key=lambda item: self.policy.rank(item[0]))

    def _load(self, name: str, points: list[EntryPoint]) -> PluginRecord:
        distribution, version, target = _identity(points[0])
        record = PluginRecord(name, target, distribution, version)
        if name in self.policy.disabled:
            record.state, record.reason = PluginState.DISABLED, "disabled by [plugins] disabled"
        elif len(points) > 1:
            sources = " and ".join(" ".join(_identity(point)[:2]) for point in points)
            record.quarantine(f"the name {name!r} is taken twice, by {sources}; uninstall one")
        else:
            self._import(record, points[0])
        return record

    def _import(self, record: PluginRecord, point: EntryPoint) -> None:
        try:
            record.plugin = point.load()
            _check_api(record.plugin)
            self._pluggy.register(record.plugin, name=record.name)
            self._check_hooks(record)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self.quarantine(record, f"loading {record.target} failed: {_summary(error)}", error)

    def _check_hooks(self, record: PluginRecord) -> None:
        callers = self._pluggy.get_hookcallers(record.plugin) or []
        unknown = [caller.name for caller in callers if caller.spec is None]
        if unknown:
            known = ", ".join(self._hook_names())
            raise PluginError(f"unknown hooks {', '.join(unknown)}; this node knows {known}")
        record.hooks = tuple(sorted(caller.name for caller in callers))

    def _hook_names(self) -> list[str]:
        return sorted(name for name in vars(hookspecs) if name.startswith("pacs_"))

    @property
    def loaded(self) -> list[PluginRecord]:
        """Records of the plugins that take part, in order."""
        return [record for record in self.records if record.state is PluginState.LOADED]

    def call(self, hook: str, **arguments: object) -> Iterator[tuple[PluginRecord, object]]:
        """Call a hook of every loaded plugin in order; one that raises is quarantined.

        Parameters
        ----------
        hook : str
        **arguments
            As the specification names them.

        Yields
        ------
        PluginRecord, object
            The plugin, and what its implementation returned.
        """
        caller = getattr(self._pluggy.hook, hook)
        implementations = {impl.plugin_name: impl for impl in caller.get_hookimpls()}
        for record in self.loaded:
            implementation = implementations.get(record.name)
            if implementation is None:
                continue
            try:
                values = [arguments[name] for name in implementation.argnames]
                result = implementation.function(*values)
            except (Exception, SystemExit) as error:
                self.quarantine(record, f"{hook} raised {_summary(error)}", error)
            else:
                yield record, result

    def quarantine(
        self, record: PluginRecord, reason: str, error: BaseException | None = None
    ) -> None:
        """Take a plugin out: none of its hooks is called again."""
        record.quarantine(reason, error)
        if record.plugin is not None and self._pluggy.has_plugin(record.name):
            self._pluggy.unregister(name=record.name)
        logger.warning("plugin %s (%s) is quarantined: %s", record.name, record.source, reason)

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


def _identity(point: EntryPoint) -> tuple[str, str, str]:
    try:
        distribution = cast(Distribution, point.dist)
        source = distribution.name, distribution.version
    except Exception:  # no metadata, or broken ones, as an interrupted uninstall leaves them
        source = "unknown", "0"
    return *source, point.value


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _check_api(plugin: object) -> None:
    wanted = getattr(plugin, "PACS_API_VERSION", API_VERSION)
    if wanted[0] != API_VERSION[0] or tuple(wanted) > API_VERSION:
        raise PluginError(
            f"it was built for plugin API {'.'.join(map(str, wanted))}, this node offers "
            f"{'.'.join(map(str, API_VERSION))}; install matching versions"
        )
