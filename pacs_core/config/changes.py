"""Differences between two configurations: what may take effect while a node runs, and what waits.

The classes of the tables mark their fields (:data:`~pacs_core.contracts.RELOADABLE`). A field
without the mark whose value is a table of its own is looked into; any other keeps its old value.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from attrs import define, evolve, field, fields, has

from pacs_core.config.errors import ConfigError
from pacs_core.contracts import is_reloadable

T = TypeVar("T")


@define
class ConfigChanges:
    """Paths of keys whose values differ.

    Attributes
    ----------
    taken : list of str
        Of those that take effect at once.
    waiting : list of str
        Of those that need a restart.
    """

    taken: list[str] = field(factory=list)
    waiting: list[str] = field(factory=list)

    def merge(self, running: T, wanted: T, path: str = "") -> T:
        """Return the settings to go on with, and note what differs.

        Parameters
        ----------
        running, wanted
            Instances of one attrs class: the settings that are in effect, and those of the file.
        path : str
            Of their table.

        Raises
        ------
        ConfigError
            What takes effect does not go together with what waits.
        """
        new: dict[str, Any] = {}
        schema: Any = type(running)
        for each in fields(schema):
            old, value = getattr(running, each.name), getattr(wanted, each.name)
            where = f"{path}.{each.name}" if path else each.name
            if old == value:
                continue
            if is_reloadable(each):
                new[each.name] = value
                self.taken += _paths(old, value, where)
            elif has(type(old)) and type(old) is type(value):
                new[each.name] = self.merge(old, value, where)
            else:
                self.waiting += _paths(old, value, where)
        if not new:
            return running
        try:
            return cast(T, evolve(cast(Any, running), **new))
        except ValueError as error:
            waiting = f"; {', '.join(self.waiting)} needs a restart" if self.waiting else ""
            raise ConfigError([f"{path}: {error}{waiting}"]) from error


def _paths(old: object, new: object, path: str) -> Iterator[str]:
    """Iterate over the paths of what differs: the keys of tables, one by one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield from _paths(old.get(name), new.get(name), f"{path}.{name}")
    elif has(type(old)) and type(old) is type(new):
        schema: Any = type(old)
        for each in fields(schema):
            before, after = getattr(old, each.name), getattr(new, each.name)
            if before != after:
                yield from _paths(before, after, f"{path}.{each.name}")
    else:
        yield path
