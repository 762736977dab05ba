"""A configuration and its plugins, with every problem of both at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pacs_core.app import Assembly, assemble
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import LocalOptions
from pacs_core.config import (
    Config,
    ConfigError,
    find_config,
    load_config,
    read_tables,
    structure,
    structure_plugin_configs,
)
from pacs_core.plugins import PluginManager

Overrides = Mapping[str, Mapping[str, Any]]


def assemble_local(options: LocalOptions, level: str = "warning") -> Assembly:
    """Return the assembly of this machine's archive; log at `level` unless an option says else."""
    configure_logging(options.log_level or level)
    return load_assembly(options.config, {"node": {"data_directory": text(options.data)}})


def text(path: Path | None) -> str | None:
    """Return a path as a config file has it."""
    return None if path is None else str(path)


def load_assembly(path: Path | None, overrides: Overrides | None = None) -> Assembly:
    """Load configuration and plugins.

    Raises
    ------
    ConfigError
        With every problem of the kernel's tables and the plugins'.
    PluginError
        A required plugin is not available.
    """
    return assemble(load_checked(path, overrides))


def load_checked(path: Path | None, overrides: Overrides | None = None) -> Config:
    """Return the configuration; if it is wrong, look for the plugins' problems as well."""
    try:
        return load_config(path, overrides)
    except ConfigError as error:
        more = _plugin_problems(path, error)
        raise ConfigError([*error.problems, *more]) from error


def _plugin_problems(path: Path | None, found: ConfigError) -> tuple[str, ...]:
    try:
        tables = read_tables(find_config(path))
        of_plugins = {name: tables[name] for name in ("plugins", "plugin") if name in tables}
        config = structure(of_plugins, Config, "")
        structure_plugin_configs(PluginManager(config.plugins), config)
    except ConfigError as error:
        return tuple(problem for problem in error.problems if problem not in found.problems)
    return ()
