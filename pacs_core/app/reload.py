"""The configuration, read again while the node runs: taken whole, or not at all."""

import json
import logging
from collections.abc import Mapping
from hashlib import sha256

import anyio
from attrs import define, evolve, field, frozen

from pacs_core.app.archive import OpenArchive
from pacs_core.app.assembly import Assembly, ConfigSource
from pacs_core.app.lifespan import RunningComponent
from pacs_core.app.preferences import preferences_of
from pacs_core.app.process import raise_file_limit
from pacs_core.app.services import ServiceRunner
from pacs_core.association import Listener
from pacs_core.config import (
    Config,
    ConfigChanges,
    ConfigError,
    effective_tables,
    find_config,
    inspect_plugin_configs,
    inspect_tables,
    read_tables,
    tls_tables,
)
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditValue,
    Component,
    ConfigFile,
    Origin,
    Outcome,
    ServiceDescriptor,
    Setup,
)
from pacs_core.logs.node_log import NodeLog
from pacs_core.plugins import KINDS, PluginError, Registry, summarize_error
from pacs_core.tls import FileTlsContexts

# Theory of operation
#
# A *plan* is made first, by reading the file, structuring every table, and calling the hooks of the
# plugins that run, `pacs_check` included, with what they would get. That is the check that a start
# makes, and it changes nothing: what a hook does wrong is undone. A plan holds the assembly to go
# on with: the running one, with the new values of all keys that may change while the node runs. The
# others keep their old values, and are named.
#
# To *apply* a plan, the kernel's parts take what is theirs, which cannot fail, and then each
# component is told that has other settings now. If one raises, whoever was told before is told the
# old settings, in the reverse order. With several workers the supervisor lets one after the other
# apply the plan; if one cannot, those before it go back.

logger = logging.getLogger(__name__)


class ReloadError(Exception):
    """The node goes on with the settings that it had.

    Attributes
    ----------
    problems : tuple of str
        All of them.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@frozen
class ReloadPlan:
    """A checked configuration to go on with.

    Attributes
    ----------
    assembly : Assembly
    taken, waiting : tuple of str
        Paths of keys that differ: those that take effect, and those that need a restart.
    """

    assembly: Assembly
    taken: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The same for the same settings."""
        tables = effective_tables(self.assembly.config, self.assembly.plugin_configs)
        # By which workers that have read the file each by itself know that they read the same.
        return sha256(json.dumps(tables, sort_keys=True, default=_identify).encode()).hexdigest()


def _identify(value: object) -> object:
    """Return what tells a value from others that JSON does not know: of a file, what is in it."""
    return [str(value), value.text] if isinstance(value, ConfigFile) else str(value)


def plan_reload(running: Assembly) -> ReloadPlan:
    """Read the configuration again, check all of it, and return what to go on with.

    Raises
    ------
    ReloadError
        It was not read from a file, or is wrong in any way.
    """
    if running.source is None:
        raise ReloadError("the configuration was not read from a file")
    try:
        source = running.source
        tables = read_tables(find_config(source.path))
        config, problems = inspect_tables(tables, source.overrides)
        with running.manager.trial() as broken:
            wanted, more = _assembled(running, config, evolve(source, tables=tables))
        if problems or more or broken:
            raise ReloadError(*problems, *more, *broken)
        with running.manager.trial() as broken:
            plan = _merged(running, wanted)
        if broken:
            raise ReloadError(*broken)
    except ConfigError as error:
        raise ReloadError(*error.problems) from error
    return plan


def _assembled(
    running: Assembly, config: Config, source: ConfigSource
) -> tuple[Assembly, list[str]]:
    """Return what a start under this configuration would assemble, and what is wrong with it."""
    found = inspect_plugin_configs(running.manager, config)
    # A table that was taken out of the file leaves its plugin with the defaults.
    configs = {**running.plugin_configs, **found.defaults, **found.configs}
    assembly = evolve(
        running, config=config, plugin_configs=configs, registry=Registry(), source=source
    )
    assembly.registry.collect(running.manager, assembly.setup_for)
    problems = [*found.problems, *assembly.problems()]
    try:
        running.manager.check_required()
    except PluginError as error:
        problems.append(str(error))
    return assembly, problems


def _merged(running: Assembly, wanted: Assembly) -> ReloadPlan:
    changes = ConfigChanges()
    tables = evolve(wanted.config, plugin=running.config.plugin)  # structured: see below
    config = changes.merge(running.config, tables)
    configs: dict[str, object] = {}
    for name, own in running.plugin_configs.items():
        configs[name] = changes.merge(own, wanted.plugin_configs[name], f"plugin.{name}")
    assembly = evolve(wanted, config=config, plugin_configs=configs, registry=Registry())
    assembly.registry.collect(running.manager, assembly.setup_for)
    problems = [*_other_parts(running.registry, assembly.registry), *assembly.problems()]
    if problems:
        waiting = f"these need a restart: {', '.join(changes.waiting)}" if changes.waiting else ""
        raise ReloadError(*problems, *filter(None, [waiting]))
    return ReloadPlan(assembly, tuple(changes.taken), tuple(changes.waiting))


def _other_parts(before: Registry, after: Registry) -> list[str]:
    """Return what plugins would register otherwise, which nothing but a start can do."""
    old, new = _parts(before), _parts(after)
    return [
        f"plugin.{plugin}: the {what} cannot come, go or listen elsewhere while the node runs"
        for plugin, what in sorted(old.keys() | new.keys())
        if old.get((plugin, what), "none") != new.get((plugin, what), "none")
    ]


def _parts(registry: Registry) -> Mapping[tuple[str, str], object]:
    return {
        (record.name, f"{kind.label} {descriptor.name!r}"): (
            descriptor.bind if isinstance(descriptor, ServiceDescriptor) else None
        )
        for kind in KINDS
        for record, descriptor in registry.active(kind.descriptor)
    }


@define(eq=False)
class Reloader:
    """Lets a running node take other settings.

    Attributes
    ----------
    assembly : Assembly
        As it runs.
    opened : OpenArchive
    listener : Listener
    runner : ServiceRunner
    log : NodeLog or None
        Of the process, if the configuration says how it logs.
    """

    assembly: Assembly
    opened: OpenArchive
    listener: Listener
    runner: ServiceRunner
    log: NodeLog | None
    _before: Assembly | None = None
    _told: list[RunningComponent] = field(factory=list)

    async def reload(self) -> None:
        """Read the configuration again, take it or leave it, and say so in log and audit trail."""
        try:
            plan = plan_reload(self.assembly)
            await self.apply(plan)
        except ReloadError as error:
            await self.report_refusal(error.problems)
        else:
            await self.report(plan)

    async def apply(self, plan: ReloadPlan) -> None:
        """Go on with a plan.

        Raises
        ------
        ReloadError
            A component refused, or failed. Everything is as it was.
        """
        before, after = self.assembly, plan.assembly
        self._before, self._told = before, []
        # The kernel's own parts first. They cannot refuse, and components may ask them.
        self._use(after)
        for each in tuple(self.opened.components):
            # Whoever does not override it takes nothing while running, and is not asked.
            takes_settings = type(each.component).reconfigure is not Component.reconfigure
            if not takes_settings or _setup(each, before) == _setup(each, after):
                continue
            # Before it is told: one that fails halfway has to go back as well.
            self._told.append(each)
            if problem := await self._tell(each, after):
                await self.revert()
                raise ReloadError(f"{each.name}: {problem}")

    async def revert(self) -> None:
        """Go back to the settings before the last plan."""
        if self._before is None:
            return
        before, self._before = self._before, None
        self._use(before)
        for each in reversed(self._told):
            if each in self.opened.components and (problem := await self._tell(each, before)):
                logger.error(
                    "%s does not go back to the settings that it had: %s; restart the node",
                    each.name,
                    problem,
                )

    def _use(self, assembly: Assembly) -> None:
        config = assembly.config
        if self.log is not None:
            # Even if it is the same: levels that a command has set are taken back.
            self.log.use(config.log)
        if isinstance(contexts := self.opened.node.tls, FileTlsContexts):
            before, after = (
                tls_tables(each.config, each.plugin_configs) for each in (self.assembly, assembly)
            )
            # Keys and certificates of tables that are gone are not kept in memory.
            contexts.forget(set(before.values()) - set(after.values()))
        self.assembly = assembly
        self.opened.use(config)
        self.listener.reconfigure(config.network, preferences_of(config))
        self.runner.use(assembly)

    async def _tell(self, running: RunningComponent, assembly: Assembly) -> str:
        """Hand a component its settings; return what is wrong, if anything is."""
        seconds = assembly.config.network.timeouts.plugin
        try:
            with anyio.move_on_after(seconds) as scope:
                await running.component.reconfigure(_setup(running, assembly))
        except ValueError as error:
            return str(error)
        except (Exception, SystemExit) as error:
            logger.exception("%s failed to take other settings", running.name)
            return summarize_error(error)
        late = f"it did not take other settings within {seconds:g} s"
        return late if scope.cancelled_caught else ""

    # --- what becomes of it, in log and audit trail

    async def report(self, plan: ReloadPlan) -> None:
        """Say what has changed, and what waits for a restart."""
        # More associations or threads may need more files than the process was allowed.
        raise_file_limit(self.assembly)
        if plan.waiting:
            logger.warning("these settings need a restart: %s", ", ".join(plan.waiting))
        if not plan.taken:
            logger.info("the configuration was read again: nothing that can change now has changed")
            return
        logger.info("the configuration was read again: %s changed", ", ".join(plan.taken))
        details = {"keys": plan.taken, "restart": plan.waiting}
        await self._record(AuditKind.CONFIGURATION_CHANGED, Outcome.SUCCESS, details)

    async def report_refusal(self, problems: tuple[str, ...]) -> None:
        """Say why everything stays as it was."""
        for problem in problems:
            logger.error("the configuration is not taken: %s", problem)
        logger.error("the node goes on with the configuration that it had")
        source = self.assembly.source
        path = str(source.path or "") if source else ""
        details = {"problems": problems, "file": path}
        await self._record(AuditKind.CONFIGURATION_ERROR, Outcome.FAILURE, details)

    async def _record(
        self, kind: AuditKind, outcome: Outcome, details: Mapping[str, AuditValue]
    ) -> None:
        settings = self.opened.node.settings
        origin = Origin("node", called_ae_title=settings.ae_title, host=settings.host)
        try:
            await self.opened.node.audit.record(AuditEvent(kind, outcome, origin, details))
        except AuditFailedError:
            logger.exception("what became of the configuration could not be recorded")


def _setup(running: RunningComponent, assembly: Assembly) -> Setup:
    """Return the setup of a component; that of a store with a table has the config of the table."""
    if running.store:
        return assembly.stores.plan(running.store).setup
    return assembly.setup_for(running.plugin)
