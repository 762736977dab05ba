"""Examines the plugins of a node without starting it: what is wrong, and what to do."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from attrs import define, field, frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.examination import examine
from pacs_core.app.missing_parts import missing_parts
from pacs_core.app.ports import taken_ports
from pacs_core.app.remedies import remedy_for
from pacs_core.concurrency.event_loops import EventLoop, event_loop
from pacs_core.config import (
    Config,
    ConfigError,
    PluginConfigs,
    effective_tables,
    inspect_config,
)
from pacs_core.contracts import ServiceProviderDescriptor
from pacs_core.dataset.speedups import Speedup, all_speedups
from pacs_core.plugins import (
    KINDS,
    CodeFrame,
    PluginError,
    PluginRecord,
    PluginState,
    Registry,
)
from pacs_core.plugins.requirements import missing_extras, unmet_requirements

_SPEEDUPS: Final = "how-to/speedups.md"
_CONFIGURATION: Final = "how-to/troubleshooting.md#a-configuration-is-refused"
_QUARANTINED: Final = "how-to/troubleshooting.md#a-plugin-is-quarantined"
_PORT: Final = "how-to/troubleshooting.md#the-port-is-in-use"


@frozen
class Problem:
    """Something that needs action, and which.

    Attributes
    ----------
    what, action : str
    page : str
        Page of the documentation, with its anchor, that says more; empty where none does.
    """

    what: str
    action: str
    page: str = ""


@define
class PluginReport:
    """All that is to be said of one plugin.

    Attributes
    ----------
    record : PluginRecord
    provides : list of str
        What it has registered, in words.
    config : mapping or None
        The effective values of its table, secrets hidden; None if it has no configuration, or a
        wrong one.
    problems : list of Problem
    frames : tuple of CodeFrame
        Where in its own code the error behind a quarantine came from, innermost last.
    notes : list of str
        What is worth knowing and needs no action.
    """

    record: PluginRecord
    provides: list[str] = field(factory=list)
    config: Mapping[str, object] | None = None
    problems: list[Problem] = field(factory=list)
    frames: tuple[CodeFrame, ...] = ()
    notes: list[str] = field(factory=list)


@frozen
class Diagnosis:
    """The plugins of a node, what is wrong beyond single plugins, and what it runs on."""

    plugins: list[PluginReport]
    problems: list[Problem]
    speedups: tuple[Speedup[Any], ...] = field(factory=all_speedups)
    event_loop: EventLoop = field(factory=event_loop)

    @property
    def needs_action(self) -> bool:
        """Whether there is any problem."""
        return bool(self.problems or any(plugin.problems for plugin in self.plugins))


def diagnose(path: Path | None = None, found: Iterable[Any] | None = None) -> Diagnosis:
    """Examine the configuration and the plugins of this environment; nothing is started.

    Parameters
    ----------
    path : Path, optional
        Config file; see :func:`pacs_core.config.find_config`.
    found : iterable of EntryPoint, optional
        Instead of those of the environment.
    """
    config, problems = _config(path)
    assembly, configs = examine(config, found)
    problems += [_configuration(text) for text in configs.unknown]
    problems += _of_the_node(assembly)
    plugins = [_report(assembly, record, configs) for record in assembly.manager.records]
    problems += [
        Problem(str(each), "install versions of both that fit, or uninstall it", _SPEEDUPS)
        for each in all_speedups()
        if each.fault
    ]
    return Diagnosis(plugins, problems)


def _config(path: Path | None) -> tuple[Config, list[Problem]]:
    try:
        config, problems = inspect_config(path)
    except ConfigError as error:
        config, problems = Config(), list(error.problems)
    return config, [_configuration(text) for text in problems]


def _configuration(text: str) -> Problem:
    return Problem(f"configuration: {text}", "correct the config file", _CONFIGURATION)


def _of_the_node(assembly: Assembly) -> list[Problem]:
    problems = []
    for check in (_plan_stores, Assembly.choose_index, Assembly.check_audit):
        try:
            check(assembly)
        except ConfigError as error:
            problems += [_configuration(text) for text in error.problems]
    try:
        assembly.manager.check_required()
    except PluginError as error:
        problems.append(
            Problem(str(error), "repair or install them, or require them no longer", _QUARANTINED)
        )
    missing = missing_parts(assembly)
    return problems + [Problem(each.what, each.remedy) for each in missing]


def _plan_stores(assembly: Assembly) -> None:
    problems = assembly.stores.problems()
    try:
        assembly.choose_store()
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _report(assembly: Assembly, record: PluginRecord, configs: PluginConfigs) -> PluginReport:
    report = PluginReport(record, frames=record.frames)
    if record.name in configs.configs:
        config = {record.name: configs.configs[record.name]}
        report.config = cast(Any, effective_tables(Config(), config)["plugin"])[record.name]
    if record.state is PluginState.LOADED:
        report.provides = list(_provided(assembly.registry, record))
        action = f"give it another port in [plugin.{record.name}], or end who has this one"
        report.problems += [Problem(each, action, _PORT) for each in taken_ports(assembly, record)]
    if record.state is PluginState.QUARANTINED:
        report.problems.append(Problem(record.reason, remedy_for(record), _QUARANTINED))
    if record.state is PluginState.DISABLED:
        report.notes.append(record.reason)
    report.notes += [f"deprecated: {note}" for note in record.deprecated]
    _examine_distribution(report)
    return report


def _provided(registry: Registry, record: PluginRecord) -> Iterable[str]:
    for kind in KINDS:
        for owner, descriptor in registry.entries(kind.descriptor):
            if owner is not record:
                continue
            extent = ""
            if isinstance(descriptor, ServiceProviderDescriptor):
                count = len(descriptor.sop_classes)
                extent = f" ({count} SOP class{'' if count == 1 else 'es'})"
            yield f"{kind.label} {descriptor.name}{extent}"


def _examine_distribution(report: PluginReport) -> None:
    record = report.record
    if record.metadata is None or record.state is PluginState.DISABLED:
        return
    for unmet in unmet_requirements(record.metadata):
        action = f"install matching versions: pip install {record.distribution}"
        report.problems.append(Problem(f"{record.source} {unmet}", action))
    for extra, missing in missing_extras(record.metadata).items():
        names = ", ".join(unmet.requirement for unmet in missing)
        wanted = f"pip install '{record.distribution}[{extra}]'"
        report.notes.append(f"optional feature {extra!r} is without {names} ({wanted})")
