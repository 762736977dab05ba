"""A configuration and its plugins as far as they are sound, however much is wrong with the rest."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pacs_core.app.assembly import Assembly
from pacs_core.app.foundation import open_sinks
from pacs_core.config import (
    Config,
    ConfigError,
    Overrides,
    PluginConfigs,
    inspect_config,
    inspect_plugin_configs,
)
from pacs_core.contracts import AuditEvent, AuditKind, Origin, Outcome
from pacs_core.plugins import Fault, PluginManager


def examine(config: Config, found: Iterable[Any] | None = None) -> tuple[Assembly, PluginConfigs]:
    """Assemble plugins whose tables are sound; the others are quarantined.

    Parameters
    ----------
    config : Config
    found : iterable of EntryPoint, optional
        Instead of those of the environment.
    """
    manager = PluginManager(config.plugins, found)
    configs = inspect_plugin_configs(manager, config)
    for record in manager.loaded:
        if wrong := configs.wrong.get(record.name):
            manager.quarantine(record, Fault.CONFIG_TABLE, "; ".join(wrong))
    assembly = Assembly(config, manager, configs.configs)
    assembly.registry.collect(manager, assembly.setup_for)
    return assembly, configs


async def record_configuration_error(
    problems: Iterable[str], path: Path | None = None, overrides: Overrides | None = None
) -> None:
    """Tell the audit sinks that a node did not start, and why.

    The sinks are those that can be had under what is sound of the configuration.

    Parameters
    ----------
    problems : iterable of str
    path : Path, optional
        Config file; see :func:`pacs_core.config.find_config`.
    overrides : mapping, optional
        As for :func:`pacs_core.config.load_config`.
    """
    try:
        config, _ = inspect_config(path, overrides)
    except ConfigError:
        config = Config()
    assembly, _ = examine(config)
    origin = Origin("node", called_ae_title=config.node.ae_title, host=config.node.host)
    details = {"problems": tuple(problems), "file": str(path or "")}
    event = AuditEvent(AuditKind.CONFIGURATION_ERROR, Outcome.FAILURE, origin, details)
    async with open_sinks(assembly) as audit:
        await audit.record(event)
