"""Configuration: TOML tables, structured into attrs classes, checked before a port is bound."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.config.changes import ConfigChanges as ConfigChanges
    from pacs_core.config.errors import ConfigError as ConfigError
    from pacs_core.config.load import (
        Overrides as Overrides,
        inspect_config as inspect_config,
        inspect_tables as inspect_tables,
        load_config as load_config,
        read_tables as read_tables,
    )
    from pacs_core.config.model import (
        Config as Config,
        NodeConfig as NodeConfig,
        tls_tables as tls_tables,
    )
    from pacs_core.config.origins import trace_values as trace_values
    from pacs_core.config.plugin_tables import (
        PluginConfigs as PluginConfigs,
        inspect_plugin_configs as inspect_plugin_configs,
        structure_plugin_configs as structure_plugin_configs,
    )
    from pacs_core.config.show import (
        effective_tables as effective_tables,
        literal as literal,
        plain_table as plain_table,
        to_toml as to_toml,
    )
    from pacs_core.config.structuring import check_schema as check_schema, structure as structure
    from pacs_core.config_file import DEFAULT_FILE as DEFAULT_FILE, find_config as find_config

import_on_demand(
    __name__,
    """
.changes ConfigChanges
.errors ConfigError
.load Overrides inspect_config inspect_tables load_config read_tables
.model Config NodeConfig tls_tables
.origins trace_values
.plugin_tables PluginConfigs inspect_plugin_configs structure_plugin_configs
.show effective_tables literal plain_table to_toml
.structuring check_schema structure
pacs_core.config_file DEFAULT_FILE find_config
""",
)
