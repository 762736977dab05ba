"""Object stores as they are configured: chosen by name or by type, and made of one another.

``[archive] store`` names the one that the archive uses, and the config of a store may name others
that it is made of (:class:`StoreName`). So stores make a tree, which is known, and checked, before
the first of them is created. They are created and started from the leaves to the root: a store gets
those that it is made of started, and is stopped before them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, fields, frozen, has

from pacs_core.app.lifespan import Lifespan
from pacs_core.archive import release_reserve
from pacs_core.config import ConfigError, check_schema, plain_table, structure
from pacs_core.contracts import ObjectStore, ObjectStoreDescriptor, Setup, StoreName
from pacs_core.plugins import PluginRecord

# Theory of operation
#
# A configuration is a graph of names, and has to become a tree of objects. All that can be wrong
# with that is found while planning: names that nobody provides, circles, a store that two others
# would write to (each would take the other's objects for orphans), two stores in one directory.
# Planning starts nothing, so `pacs config check` does it on a node that runs.
#
# Starting walks the plan from the leaves up, through one lifespan: a store finds those that it is
# made of running, and is stopped before they are. A store that fails stops those below it again.
#
# A name stands for a table ``[stores.NAME]``, or, if there is none, for a type with the settings of
# its plugin. So a site with one store writes no table at all.

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)

Choice = tuple[PluginRecord, ObjectStoreDescriptor]


@frozen
class StorePlan:
    """A store that is to be created, and those that it is made of.

    Attributes
    ----------
    name : str
        Of its table, or its type if it has none.
    record : PluginRecord
    descriptor : ObjectStoreDescriptor
    setup : Setup
        What it is created with, but for the other stores.
    parts : mapping of str to StorePlan
        By the name under which its config has them.
    """

    name: str
    record: PluginRecord
    descriptor: ObjectStoreDescriptor
    setup: Setup
    parts: Mapping[str, "StorePlan"] = field(factory=dict)

    @property
    def label(self) -> str:
        """For messages."""
        named = "" if self.name == self.descriptor.name else f"{self.name}: "
        return f"{named}{self.descriptor.name} ({self.record.source})"

    def all(self) -> Iterator["StorePlan"]:
        """Iterate over this plan and those of all that the store is made of."""
        yield self
        for part in self.parts.values():
            yield from part.all()

    def create(self) -> ObjectStore:
        """Create the store with all that it is made of, to ask what they say; start nothing."""
        return self.create_of({name: part.create() for name, part in self.parts.items()})

    def create_of(self, stores: Mapping[str, ObjectStore]) -> ObjectStore:
        """Create the store of others that were created."""
        return self.descriptor.create(evolve(self.setup, stores=stores))

    def directories(self) -> Iterator[tuple[str, Path]]:
        """Iterate over the stores' names and where they keep files.

        Raises
        ------
        ConfigError
            Two keep theirs in one place.
        """
        owners: dict[Path, str] = {}
        for plan in self.all():
            directory = plan.create().directory
            if directory is None:
                continue
            owner = owners.setdefault(directory.absolute(), plan.name)
            if owner != plan.name:
                raise ConfigError(
                    [f"stores.{plan.name}: keeps its objects in {directory}, and so does {owner}"]
                )
            yield plan.name, directory


async def start_store(
    plan: StorePlan, lifespan: Lifespan, started: dict[str, ObjectStore]
) -> ObjectStore:
    """Start a store, after those that it is made of.

    Parameters
    ----------
    plan : StorePlan
    lifespan : Lifespan
    started : dict of str to ObjectStore
        To which all of them are added, by name.

    Raises
    ------
    StartError
        One of them did not start.
    """
    parts = {n: await start_store(part, lifespan, started) for n, part in plan.parts.items()}

    def create() -> ObjectStore:
        store = plan.create_of(parts)
        if not isinstance(store, ObjectStore):
            raise TypeError(f"it is no ObjectStore: {store!r:.100}")
        if store.directory is not None:
            # Whoever wants to delete on a full disk must be able to open the store.
            release_reserve(store.directory, if_full=True)
        return store

    store = await lifespan.start(plan.label, create, plan.record.name, plan.setup.store_name)
    started[plan.name] = store
    return store


@frozen
class StorePlanner:
    """Plans the stores of a configuration, and finds what is wrong with it.

    Attributes
    ----------
    tables : mapping of str to mapping
        ``[stores.NAME]``, as they were read.
    types : mapping of str to Choice
        What plugins provide, by type.
    setup_for : callable
        Makes the setup of a plugin.
    """

    tables: Mapping[str, Mapping[str, Any]]
    types: Mapping[str, Choice]
    setup_for: Any

    def problems(self) -> list[str]:
        """Return all that is wrong with the tables, whether they are used or not."""
        problems: list[str] = []
        for name in self.tables:
            try:
                self.plan(name)
            except ConfigError as error:
                problems += error.problems
        return list(dict.fromkeys(problems))

    def effective(self) -> dict[str, object]:
        """Return the tables with the values that stores are created with.

        Raises
        ------
        ConfigError
            Something is wrong with one of them.
        """
        found: dict[str, object] = {}
        for name in self.tables:
            plan = self.plan(name)
            config = plan.descriptor.config and plan.setup.configs[plan.descriptor.config]
            found[name] = {"type": plan.descriptor.name, **(plain_table(config) if config else {})}
        return found

    def unused(self, root: StorePlan) -> list[str]:
        """Return the tables of which the archive uses none."""
        used = {plan.name for plan in root.all()}
        return [name for name in self.tables if name not in used]

    def plan(self, name: str) -> StorePlan:
        """Plan a store.

        Raises
        ------
        ConfigError
            With every problem of it, and of those that it is made of.
        """
        owners: dict[str, str] = {}
        return self._plan(name, "archive", (), owners)

    def _plan(
        self, name: str, user: str, above: tuple[str, ...], owners: dict[str, str]
    ) -> StorePlan:
        if name in above:
            circle = " of ".join([*above[above.index(name) :], name])
            raise ConfigError([f"stores.{name}: it is made of itself ({circle})"])
        # Two users of one store would each call the other's objects orphans.
        owner = owners.setdefault(name, user)
        if owner != user:
            raise ConfigError(
                [f"stores.{name}: it is part of {owner} and of {user}; give one a store of its own"]
            )
        plan = self._of_table(name) if name in self.tables else self._of_type(name, user)
        parts: dict[str, StorePlan] = {}
        problems: list[str] = []
        key = plan.descriptor.config
        for part in dict.fromkeys(_names(plan.setup.configs.get(key) if key else None)):
            try:
                parts[part] = self._plan(part, f"stores.{name}", (*above, name), owners)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return evolve(plan, parts=parts)

    def _of_type(self, name: str, user: str) -> StorePlan:
        if name not in self.types:
            known = ", ".join([*self.tables, *(t for t in self.types if t not in self.tables)])
            where = "archive.store" if user == "archive" else user
            raise ConfigError([f"{where}: no plugin provides {name!r}; there is {known or 'none'}"])
        record, descriptor = self.types[name]
        return StorePlan(name, record, descriptor, self.setup_for(record))

    def _of_table(self, name: str) -> StorePlan:
        path = f"stores.{name}"
        if _NAME.fullmatch(name) is None:
            raise ConfigError([f"{path}: the name of a store has letters, digits, - and _ only"])
        # A copy: the table is shown, and reloaded, as it was read.
        table = dict(self.tables[name])
        kind, known = table.pop("type", None), ", ".join(self.types) or "none"
        if not isinstance(kind, str):
            raise ConfigError([f"{path}: say of which type it is; there is {known}"])
        if kind not in self.types:
            raise ConfigError([f"{path}.type: no plugin provides {kind!r}; there is {known}"])
        record, descriptor = self.types[kind]
        setup = evolve(self.setup_for(record), store_name=name)
        if descriptor.config is not None:
            try:
                config: object = structure(table, check_schema(descriptor.config), path)
            except TypeError as error:
                raise ConfigError([f"{path}: type {kind} of {record.source}: {error}"]) from error
            setup = evolve(setup, configs={**setup.configs, descriptor.config: config})
        elif table:
            extra = ", ".join(map(repr, sorted(table)))
            raise ConfigError([f"{path}: unknown key {extra}; the type {kind} has no keys"])
        return StorePlan(name, record, descriptor, setup)


def _names(value: object) -> Iterator[StoreName]:
    kind: Any = type(value)
    if isinstance(value, StoreName):
        yield value
    elif has(kind):
        for each in fields(kind):
            yield from _names(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _names(item)
