"""Effective configuration as rows of a table."""

from collections.abc import Iterator, Mapping

from pacs_core.config import to_toml


def parameter_rows(tables: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Iterate over every parameter with its path and value; nothing is said of secrets' values."""
    for key, value in tables.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from parameter_rows(value, f"{path}.")
        else:
            yield (
                path,
                "unset" if value is None else to_toml({"": value}).partition(" = ")[2].strip(),
            )
