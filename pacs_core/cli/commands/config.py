"""``pacs config``."""

from pacs_core.app import Assembly
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.config import ConfigError, effective_tables, to_toml


def show(*, options: LocalOptions = LOCAL) -> None:
    """Print the effective configuration as TOML, defaults and plugins' tables included.

    Of secrets only their whereabouts are shown.
    """
    assembly = assemble_local(options)
    tables = effective_tables(assembly.config, assembly.plugin_configs)
    tables["stores"] = assembly.stores.effective()
    print(to_toml(tables).lstrip(), end="")


def check(*, options: LocalOptions = LOCAL) -> None:
    """Name every problem of the configuration; the exit code is 2 if there is any."""
    assembly = assemble_local(options)
    problems: list[str] = []
    for choose in (_check_stores, Assembly.choose_index):
        try:
            choose(assembly)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    print("the configuration is sound")


def _check_stores(assembly: Assembly) -> None:
    plan = assembly.choose_store()
    if plan is not None:
        list(plan.directories())
