"""``pacs config``."""

from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.config import ConfigError, effective_tables, to_toml
from pacs_core.contracts import IndexDescriptor, ObjectStoreDescriptor


def show(*, options: LocalOptions = LOCAL) -> None:
    """Print the effective configuration as TOML, defaults and plugins' tables included.

    Of secrets only their whereabouts are shown.
    """
    assembly = assemble_local(options)
    tables = effective_tables(assembly.config, assembly.plugin_configs)
    print(to_toml(tables).lstrip(), end="")


def check(*, options: LocalOptions = LOCAL) -> None:
    """Name every problem of the configuration; the exit code is 2 if there is any."""
    assembly = assemble_local(options)
    problems: list[str] = []
    for kind in (ObjectStoreDescriptor, IndexDescriptor):
        try:
            assembly.choose(kind)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    print("the configuration is sound")
