"""The tables of plugins, structured by the classes that they declare."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain

from attrs import field, frozen

from pacs_core.config.errors import ConfigError
from pacs_core.config.model import Config
from pacs_core.config.structuring import check_schema, structure
from pacs_core.plugins import Fault, PluginManager, PluginState


def structure_plugin_configs(manager: PluginManager, config: Config) -> dict[str, object]:
    """Return the config of every loaded plugin that declares one, by plugin.

    Raises
    ------
    ConfigError
        With every problem in every ``[plugin.NAME]`` table.
    """
    found = inspect_plugin_configs(manager, config)
    if found.problems:
        raise ConfigError(found.problems)
    return dict(found.configs)


@frozen
class PluginConfigs:
    """What became of the ``[plugin.NAME]`` tables.

    Attributes
    ----------
    configs : mapping of str to object
        Structured config by plugin.
    wrong : mapping of str to list of str
        Problems of a plugin's table.
    unknown : list of str
        Problems of tables that belong to no plugin.
    defaults : mapping of str to object
        What the plugins of `wrong` would have without their tables, if they can do without.
    """

    configs: Mapping[str, object]
    wrong: Mapping[str, Sequence[str]]
    unknown: Sequence[str]
    defaults: Mapping[str, object] = field(factory=dict)

    @property
    def problems(self) -> list[str]:
        """All that is wrong."""
        return [*self.unknown, *chain.from_iterable(self.wrong.values())]


def inspect_plugin_configs(manager: PluginManager, config: Config) -> PluginConfigs:
    """Structure every loaded plugin's config, whatever is wrong with others."""
    configs: dict[str, object] = {}
    wrong: dict[str, Sequence[str]] = {}
    defaults: dict[str, object] = {}
    schemas: dict[str, type] = {}
    for record, result in manager.call("pacs_config"):
        try:
            schemas[record.name] = check_schema(result)
        except TypeError as error:
            manager.quarantine(record, Fault.CONFIG_CLASS, f"pacs_config: {error}", error)
    for name, schema in schemas.items():
        try:
            table = config.plugin.get(name, {})
            configs[name] = structure(table, schema, f"plugin.{name}")
        except ConfigError as error:
            wrong[name] = error.problems
            with suppress(ConfigError):
                defaults[name] = structure({}, schema, "")
    for record in manager.loaded:
        if config.plugin.get(record.name) and record.name not in schemas:
            wrong[record.name] = [f"plugin.{record.name}: this plugin has no configuration"]
    return PluginConfigs(configs, wrong, _unknown_tables(manager, config), defaults)


def _unknown_tables(manager: PluginManager, config: Config) -> list[str]:
    known = {record.name for record in manager.records}
    active = [r.name for r in manager.records if r.state is not PluginState.DISABLED]
    return [
        f"plugin.{name}: no such plugin is installed; installed are {', '.join(active)}"
        for name in config.plugin
        if name not in known
    ]
