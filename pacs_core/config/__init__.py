"""Configuration: TOML tables, structured into attrs classes, checked before a port is bound."""

from pacs_core.config.changes import ConfigChanges
from pacs_core.config.load import (
    Overrides,
    PluginConfigs,
    inspect_config,
    inspect_plugin_configs,
    inspect_tables,
    load_config,
    read_tables,
    structure_plugin_configs,
)
from pacs_core.config.model import (
    Config,
    NodeConfig,
    tls_tables,
)
from pacs_core.config.origins import trace_values
from pacs_core.config.show import effective_tables, literal, plain_table, to_toml
from pacs_core.config.structure import ConfigError, check_schema, structure
from pacs_core.config_file import DEFAULT_FILE, find_config

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "ConfigChanges",
    "ConfigError",
    "NodeConfig",
    "Overrides",
    "PluginConfigs",
    "check_schema",
    "effective_tables",
    "find_config",
    "inspect_config",
    "inspect_plugin_configs",
    "inspect_tables",
    "literal",
    "load_config",
    "plain_table",
    "read_tables",
    "structure",
    "structure_plugin_configs",
    "tls_tables",
    "to_toml",
    "trace_values",
]
