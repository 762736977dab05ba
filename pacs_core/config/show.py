"""A configuration as TOML again, with secrets left where they are."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import fields, has

from pacs_core.config.model import Config
from pacs_core.contracts import Secret


def effective_tables(config: Config, plugin_configs: Mapping[str, object]) -> dict[str, object]:
    """Return every table with its effective values, plain types only.

    Parameters
    ----------
    config : Config
    plugin_configs : mapping of str to object
        Structured config by plugin name.
    """
    tables = {
        field.name: plain_value(getattr(config, field.name))
        for field in fields(Config)
        if field.name != "plugin"
    }
    tables["plugin"] = {name: plain_value(value) for name, value in plugin_configs.items()}
    return tables


def plain_table(config: object) -> dict[str, object]:
    """Return the values of an instance of a config class, plain types only."""
    schema: Any = type(config)
    return {field.name: plain_value(getattr(config, field.name)) for field in fields(schema)}


def plain_value(value: Any) -> object:
    """Return a value as plain types; of a secret, where it is kept."""
    if isinstance(value, Secret):
        return {"env": value.env} if value.env else {"file": value.file}
    if has(type(value)):
        return plain_table(value)
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def to_toml(tables: Mapping[str, object], prefix: str = "") -> str:
    """Return tables as TOML; None is left out, as TOML has no such value."""
    lines: list[str] = []
    nested: list[str] = []
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{_key(key)}"
            body = to_toml(value, f"{name}.")
            nested.append(f"\n[{name}]\n{body}" if value else "")
        elif value is not None:
            lines.append(f"{_key(key)} = {literal(value)}\n")
    return "".join(lines + nested)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain else literal(key)


def literal(value: object) -> str:
    """Return a value of plain types as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(k)} = {literal(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}"
    escaped = "".join(_escape(character) for character in str(value))
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
