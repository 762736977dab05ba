"""Loading of files and command line into one checked configuration."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import fields

from pacs_core.config.errors import ConfigError
from pacs_core.config.model import Config
from pacs_core.config_file import find_config

# Theory of operation
#
# A node that does not start because of its configuration should say everything that is wrong with
# it, not the first thing. So nothing here stops at a problem:
#
#   tables   Each is structured by itself. If one fails, its keys are tried one by one, and those
#            that are sound are kept; what is wrong has its default.
#   plugins  With the tables that are sound the plugins are loaded, and their tables are structured,
#            so that problems of both appear together. Unless `[plugins]` itself is wrong: then it
#            is not known which code may be imported.
#
# Only then is anything raised, by `load_config`; `inspect_config` returns the problems, for
# commands that describe a broken configuration.
#
# Precedence is command line over file over default. A value of None on the command line is an
# option that was not given.

Overrides = Mapping[str, Mapping[str, Any]]


def read_tables(path: Path | None) -> dict[str, Any]:
    """Return the raw tables of a config file; none without a file.

    Raises
    ------
    ConfigError
        The file cannot be read or is no TOML.
    """
    if path is None:
        return {}
    import tomllib  # commands that need no file need not wait for it

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from error


def load_config(path: Path | None = None, overrides: Overrides | None = None) -> Config:
    """Return the kernel's configuration.

    Parameters
    ----------
    path : Path, optional
        Config file; see :func:`find_config`.
    overrides : mapping, optional
        Tables whose keys, unless None, go before those of the file.

    Raises
    ------
    ConfigError
        With every problem found.
    """
    config, problems = inspect_config(path, overrides)
    if problems:
        raise ConfigError([*problems, *_plugin_problems(config, problems)])
    return config


def inspect_config(
    path: Path | None = None, overrides: Overrides | None = None
) -> tuple[Config, list[str]]:
    """Return the kernel's configuration as far as it is sound, and every problem of its tables.

    What is wrong has its default.

    Raises
    ------
    ConfigError
        The file cannot be read or is no TOML.
    """
    return inspect_tables(read_tables(find_config(path)), overrides)


def inspect_tables(
    read: Mapping[str, Any], overrides: Overrides | None = None
) -> tuple[Config, list[str]]:
    """Return the configuration of tables that were read; see :func:`inspect_config`."""
    tables = dict(read)
    problems: list[str] = []
    for name, values in (overrides or {}).items():
        table = tables.setdefault(name, {})
        if isinstance(table, dict):
            given = {key: value for key, value in values.items() if value is not None}
            tables[name] = table | given
    known = {each.name: each.type for each in fields(Config)}
    unknown = sorted(tables.keys() - known.keys())
    problems += [f"{name}: unknown table; known are {', '.join(sorted(known))}" for name in unknown]
    config = _structure({n: t for n, t in tables.items() if n in known}, problems)
    return config, problems


def _structure(tables: dict[str, Any], problems: list[str]) -> Config:
    """Structure the tables that can be; the others keep their defaults."""
    if not tables:
        return Config()
    # Commands that need no file need not wait for it.
    from pacs_core.config.structuring import structure

    good = {}
    for name, table in tables.items():
        try:
            structure({name: table}, Config, "")
            good[name] = table
        except ConfigError as error:
            problems += error.problems
            sound = {}
            for key, value in table.items() if isinstance(table, dict) else ():
                with suppress(ConfigError):
                    structure({name: {key: value}}, Config, "")
                    sound[key] = value
            good[name] = sound
    return structure(good, Config, "")


def _plugin_problems(config: Config, problems: list[str]) -> tuple[str, ...]:
    """Return what is wrong in plugins' tables, so that all problems are reported at once."""
    if any(problem.startswith(("plugins.", "plugins:")) for problem in problems):
        return ()  # which plugins may be imported is not known
    from pacs_core.config.plugin_tables import structure_plugin_configs
    from pacs_core.plugins import PluginManager

    try:
        structure_plugin_configs(PluginManager(config.plugins), config)
    except ConfigError as error:
        return error.problems
    return ()
