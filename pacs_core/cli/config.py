"""``pacs config``."""

from collections.abc import Mapping

from pacs_core.app import Assembly
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.config import effective_tables, to_toml
from pacs_core.contracts import IndexDescriptor, ObjectStoreDescriptor


def show(*, options: LocalOptions = LOCAL) -> None:
    """Print the effective configuration as TOML, defaults and plugins' tables included.

    Of secrets only their whereabouts are shown.
    """
    assembly = assemble_local(options)
    tables = effective_tables(assembly.config, _by_plugin(assembly))
    print(to_toml(tables).lstrip(), end="")


def _by_plugin(assembly: Assembly) -> Mapping[str, object]:
    configs = assembly.setup.configs
    schemas = assembly.manager.call("pacs_config")
    return {
        record.name: configs[schema]
        for record, schema in schemas
        if isinstance(schema, type) and schema in configs
    }


def check(*, options: LocalOptions = LOCAL) -> None:
    """Name every problem of the configuration; the exit code is 2 if there is any."""
    assembly = assemble_local(options)
    for kind in (ObjectStoreDescriptor, IndexDescriptor):
        assembly.choose(kind)
    print("the configuration is sound")
