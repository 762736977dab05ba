"""``[stores.NAME]``: stores made of one another, all of it checked before a start."""

import sys
from pathlib import Path

import anyio
import pytest
from importlib_metadata import EntryPoint

from pacs_core.app import assemble
from pacs_core.app.lifespan import StartError, open_lifespan
from pacs_core.app.stores import start_store
from pacs_core.config import Config, ConfigError, effective_tables, structure
from pacs_core.plugins import PluginManager

SOURCE = """
from attrs import field, frozen
from pacs_core.contracts import ObjectStoreDescriptor, StoreName, WrappingStore
from pacs_core.plugins import hookimpl
from pacs_core.testing.memory_store import MemoryStore

LOG = []

@frozen
class Plain:
    size: int = 1
    root: str = ""

@frozen
class Pair:
    first: StoreName
    others: tuple[StoreName, ...] = ()

class Noted:
    async def start(self):
        LOG.append(f"start {self.name}")

    async def stop(self):
        LOG.append(f"stop {self.name}")

class Simple(Noted, MemoryStore):
    def __init__(self, setup):
        super().__init__()
        self.name = setup.store_name or "unnamed"
        self.config = setup.config(Plain)
        self.directory = setup.directory / self.config.root

class Paired(Noted, WrappingStore):
    def __init__(self, setup):
        config = setup.config(Pair)
        super().__init__(setup.store(config.first))
        self.name = setup.store_name
        self.others = [setup.store(name) for name in config.others]
        self.setup = setup

@hookimpl
def pacs_config():
    return Plain

@hookimpl
def pacs_object_stores(setup):
    return [
        ObjectStoreDescriptor("simple", Simple, Plain),
        ObjectStoreDescriptor("pair", Paired, Pair),
        ObjectStoreDescriptor("bare", lambda setup: MemoryStore()),
        ObjectStoreDescriptor("wrong", lambda setup: object(), dict),
        ObjectStoreDescriptor("none", lambda setup: object()),
    ]
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that assembles a node with the store types of `SOURCE`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plugin_with_stores.py").write_text(SOURCE, encoding="utf-8")

    def make(**tables):
        point = EntryPoint("stores", "plugin_with_stores", "pacs_core.plugins")
        tables = {"node": {"data_directory": str(tmp_path / "data")}, **tables}
        return assemble(structure(tables, Config, ""), PluginManager(found=[point]))

    yield make
    sys.modules.pop("plugin_with_stores", None)


def stores(store, **tables):
    return {"archive": {"store": store}, "stores": tables}


SIMPLE = {"type": "simple"}


def test_a_store_has_the_config_of_its_table(make):
    plugin = {"stores": {"size": 9}}
    assembly = make(**stores("b", a=SIMPLE, b={"type": "simple", "size": 5}), plugin=plugin)
    plan = assembly.choose_store()
    assert (plan.name, plan.create().config.size) == ("b", 5)
    assert assembly.stores.plan("a").create().config.size == 1
    assert assembly.stores.unused(plan) == ["a"]


def test_a_store_without_a_table_has_the_config_of_the_plugin(make, tmp_path):
    store = (
        make(archive={"store": "simple"}, plugin={"stores": {"size": 9}}).choose_store().create()
    )
    assert (store.name, store.config.size) == ("unnamed", 9)
    assert store.directory == tmp_path / "data" / "stores"


def test_each_store_has_a_directory_of_its_own(make, tmp_path):
    plan = make(
        **stores("p", a=SIMPLE, b=SIMPLE, p={"type": "pair", "first": "a", "others": ["b"]})
    ).choose_store()
    folder = tmp_path / "data" / "stores"
    assert dict(plan.directories()) == {"a": folder / "a", "b": folder / "b"}
    assert list(plan.create().directories) == [folder / "a"]


def test_stores_start_before_those_made_of_them_and_stop_after(make):
    tables = stores(
        "outer",
        outer={"type": "pair", "first": "inner", "others": ["c", "bare"]},
        inner={"type": "pair", "first": "a"},
        a=SIMPLE,
        c=SIMPLE,
    )
    plan = make(**tables).choose_store()

    async def run():
        async with open_lifespan(5.0) as lifespan:
            found = {}
            store = await start_store(plan, lifespan, found)
            assert list(found) == ["a", "inner", "c", "bare", "outer"]
            assert store.wrapped.wrapped.name == "a"
            assert [type(other).__name__ for other in store.others] == ["Simple", "MemoryStore"]

    anyio.run(run)
    started, names = sys.modules["plugin_with_stores"].LOG, ["a", "inner", "c", "outer"]
    stopped = [f"stop {name}" for name in reversed(names)]
    assert started == [*(f"start {name}" for name in names), *stopped]


def test_only_stores_that_the_config_names_are_given(make):
    plan = make(**stores("p", a=SIMPLE, b=SIMPLE, p={"type": "pair", "first": "a"})).choose_store()
    with pytest.raises(LookupError, match=r"names no store 'b': .* StoreName"):
        plan.create().setup.store("b")


def test_all_that_is_wrong_is_said_at_once(make):
    tables = {
        "good": SIMPLE,
        "untyped": {"size": 1},
        "odd": {"type": "moon"},
        "extra": {"type": "simple", "sise": 1},
        "typed": {"type": "simple", "size": "big"},
        "keys": {"type": "bare", "b": 1, "a": 2},
        "lost": {"type": "pair", "first": "good", "others": ["gone", "away"]},
        "a b": SIMPLE,
        "wrong": {"type": "wrong"},
    }
    known = "simple, pair, bare, wrong, none"
    there = ", ".join([*(n for n in tables if n != "wrong"), "wrong", *known.split(", ")])
    there = there.removesuffix(", wrong, none") + ", none"
    with pytest.raises(ConfigError) as caught:
        make(archive={"store": "mars"}, stores=tables)
    assert caught.value.problems == (
        f"archive.store: no plugin provides 'mars'; there is {there}",
        "stores.a b: the name of a store has letters, digits, - and _ only",
        "stores.extra: unknown key 'sise'; known are root, size",
        "stores.keys: unknown key 'a', 'b'; the type bare has no keys",
        f"stores.lost: no plugin provides 'away'; there is {there}",
        f"stores.lost: no plugin provides 'gone'; there is {there}",
        f"stores.odd.type: no plugin provides 'moon'; there is {known}",
        "stores.typed.size: expected a whole number, found 'big'",
        f"stores.untyped: say of which type it is; there is {known}",
        "stores.wrong: type wrong of unknown 0: expected an attrs class, not <class 'dict'>",
    )


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"a": {"type": "pair", "first": "b"}, "b": {"type": "pair", "first": "a"}},
            "it is made of itself (a of b of a)",
        ),
        ({"a": {"type": "pair", "first": "a"}}, "it is made of itself (a of a)"),
    ],
)
def test_a_store_that_is_made_of_itself(make, tables, problem):
    with pytest.raises(ConfigError) as caught:
        make(**stores("a", **tables))
    assert f"stores.a: {problem}" in caught.value.problems


def test_a_store_that_is_part_of_two(make):
    tables = stores(
        "top",
        top={"type": "pair", "first": "x", "others": ["y"]},
        x={"type": "pair", "first": "a"},
        y={"type": "pair", "first": "a"},
        a=SIMPLE,
    )
    with pytest.raises(ConfigError) as caught:
        make(**tables)
    assert caught.value.problems == (
        "stores.a: it is part of stores.x and of stores.y; give one a store of its own",
    )


def test_two_stores_in_one_directory(make, tmp_path):
    same = {"type": "simple", "root": str(tmp_path)}
    pair = {"type": "pair", "first": "a", "others": ["b"]}
    plan = make(**stores("p", a=same, b=same, p=pair)).choose_store()
    with pytest.raises(ConfigError, match=rf"stores\.b: keeps its objects in {tmp_path}, .* a$"):
        list(plan.directories())


def test_tables_of_which_none_is_chosen(make):
    with pytest.raises(ConfigError, match=r"archive\.store: .* none is chosen: name one of a, b"):
        make(stores={"a": SIMPLE, "b": SIMPLE})


def test_what_is_no_store_does_not_start(make):
    plan = make(**stores("none")).choose_store()

    async def run():
        async with open_lifespan(5.0) as lifespan:
            with pytest.raises(StartError, match="no ObjectStore"):
                await start_store(plan, lifespan, {})

    anyio.run(run)


def test_the_tables_are_shown(make):
    assembly = make(**stores("a", a={"type": "simple", "size": 3}))
    shown = effective_tables(assembly.config, assembly.plugin_configs)
    assert shown["stores"] == {"a": {"type": "simple", "size": 3}}
    assert Path(str(shown["node"]["data_directory"])).name == "data"
