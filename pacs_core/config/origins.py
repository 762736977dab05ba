"""Values of a configuration, each with its origin."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import fields, has

from pacs_core.config.load import Overrides
from pacs_core.config.model import Config
from pacs_core.config.show import literal, plain_value
from pacs_core.contracts import ConfigOrigin, ConfigValue, Secret


def trace_values(
    config: Config,
    plugin_configs: Mapping[str, object],
    tables: Mapping[str, Any],
    overrides: Overrides,
) -> list[ConfigValue]:
    """Return every key of a configuration with its value and where that comes from.

    Parameters
    ----------
    config : Config
    plugin_configs : mapping of str to object
        Structured config by plugin.
    tables : mapping
        What the file says, as it was read.
    overrides : mapping
        What the command line says.
    """
    given = {table: {k: v for k, v in keys.items() if v is not None}
             for table, keys in overrides.items()}  # fmt: skip
    tree = {each.name: getattr(config, each.name) for each in fields(Config)}
    tree["plugin"] = dict(plugin_configs)
    return list(_walk(tree, "", tables, given))


def _walk(value: object, path: str, file: object, command_line: object) -> Iterator[ConfigValue]:
    if isinstance(value, Secret):
        origin = ConfigOrigin.ENVIRONMENT if value.env else ConfigOrigin.FILE
        yield ConfigValue(path, literal(plain_value(value)), origin, True)
        return
    children = _children(value)
    if children is None or (not children and path):
        origin = ConfigOrigin.DEFAULT if file is None else ConfigOrigin.FILE
        origin = origin if command_line is None else ConfigOrigin.COMMAND_LINE
        text = "" if value is None else literal(plain_value(value))
        yield ConfigValue(path, text, origin)
        return
    for key, child in children.items():
        below = f"{path}.{key}" if path else key
        yield from _walk(child, below, _below(file, key), _below(command_line, key))


def _children(value: Any) -> Mapping[str, object] | None:
    """Return the keys of a table; None of a value."""
    if has(type(value)):
        return {each.name: getattr(value, each.name) for each in fields(type(value))}
    return value if isinstance(value, Mapping) else None


def _below(table: object, key: str) -> object:
    return table.get(key) if isinstance(table, Mapping) else None
