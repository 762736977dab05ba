"""A configuration as TOML again, with secrets left where they are."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import asdict

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
    tables = {name: value for name, value in _plain(config).items() if name != "plugin"}
    tables["plugin"] = {name: _plain(value) for name, value in plugin_configs.items()}
    return tables


def _plain(value: Any) -> dict[str, object]:
    return asdict(value, value_serializer=lambda _i, _f, v: _simple(v))


def _simple(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Secret):
        return {"env": value.env} if value.env else {"file": value.file}
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
            lines.append(f"{_key(key)} = {_literal(value)}\n")
    return "".join(lines + nested)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain else _literal(key)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key(k)} = {_literal(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}"
    escaped = "".join(_escape(character) for character in str(value))
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
