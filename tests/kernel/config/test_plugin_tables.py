"""``[plugin.NAME]`` tables: structured into the classes of their plugins."""

from pathlib import Path

import pytest
from importlib_metadata import EntryPoint

from pacs_core.app import assemble
from pacs_core.config import Config, ConfigError, structure, structure_plugin_configs
from pacs_core.contracts import CodecDescriptor
from pacs_core.logs.settings import LogSettings
from pacs_core.plugins import PluginManager, PluginPolicy, PluginState

HEADER = "from attrs import field, frozen\nfrom pacs_core.plugins import hookimpl\n"
SCHEMA = """
@frozen
class Settings:
    size: int = 1
    name: str = "x"
@hookimpl
def pacs_config(): return Settings
"""


@pytest.fixture
def make(tmp_path, monkeypatch, request):
    """Return a manager of plugins with the given sources, by name."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(policy=None, **sources):
        points = []
        for name, source in sources.items():
            module = f"configured_{abs(hash(request.node.nodeid))}_{name}"
            (tmp_path / f"{module}.py").write_text(HEADER + source, encoding="utf-8")
            points.append(EntryPoint(name, module, "pacs_core.plugins"))
        return PluginManager(policy or PluginPolicy(), points)

    return make


def reason(manager, name):
    return next(record for record in manager.records if record.name == name).reason


def test_a_table_becomes_an_instance_of_the_plugins_class(make):
    manager = make(one=SCHEMA, two=SCHEMA)
    configs = structure_plugin_configs(manager, Config(plugin={"one": {"size": 5}}))
    assert sorted((c.size, c.name) for c in configs.values()) == [(1, "x"), (5, "x")]


def test_errors_of_all_plugins_are_reported_at_once(make):
    manager = make(one=SCHEMA, two=SCHEMA, plain="")
    tables = {"one": {"size": "big"}, "two": {"sise": 1}, "plain": {"a": 1}, "gone": {}}
    with pytest.raises(ConfigError) as caught:
        structure_plugin_configs(manager, Config(plugin=tables))
    assert sorted(caught.value.problems) == [
        "plugin.gone: no such plugin is installed; installed are one, plain, two",
        "plugin.one.size: expected a whole number, found 'big'",
        "plugin.plain: this plugin has no configuration",
        "plugin.two: unknown key 'sise'; known are name, size",
    ]


def test_a_required_key_is_missed_without_any_table(make):
    manager = make(one=SCHEMA.replace("size: int = 1", "size: int"))
    with pytest.raises(ConfigError, match=r"plugin\.one.*'size' is missing"):
        structure_plugin_configs(manager, Config())


@pytest.mark.parametrize("name", ["disabled", "broken"])
def test_the_table_of_a_plugin_that_takes_no_part_is_no_error(make, name):
    manager = make(
        PluginPolicy(disabled=("disabled",)), disabled=SCHEMA, broken="raise RuntimeError"
    )
    assert structure_plugin_configs(manager, Config(plugin={name: {"anything": 1}})) == {}


@pytest.mark.parametrize(
    "source",
    [
        "@hookimpl\ndef pacs_config(): return None",
        "@hookimpl\ndef pacs_config(): return dict",
        "@hookimpl\ndef pacs_config(): return {'size': 1}",
        "@hookimpl\ndef pacs_config(): raise ValueError",
        "@frozen\nclass S:\n    x: 'Unknown' = 1\n@hookimpl\ndef pacs_config(): return S",
        "@frozen\nclass S:\n    x: int | str = 1\n@hookimpl\ndef pacs_config(): return S",
    ],
)
def test_a_class_that_cannot_be_read_from_toml_quarantines_its_plugin(make, source):
    manager = make(bad=source, good=SCHEMA)
    configs = structure_plugin_configs(manager, Config(plugin={"good": {"size": 2}}))
    assert [config.size for config in configs.values()] == [2]
    assert [record.state for record in manager.records] == [
        PluginState.QUARANTINED,
        PluginState.LOADED,
    ]
    assert "pacs_config" in reason(manager, "bad")


def test_plugins_that_share_a_class_read_their_own_tables(make):
    shared = "from pacs_core.logs.settings import LogSettings\n"
    shared += "@hookimpl\ndef pacs_config(): return LogSettings"
    tables = {"one": {"level": "debug"}, "two": {"level": "error"}}
    assembly = assemble(Config(plugin=tables), make(one=shared, two=shared))
    setups = map(assembly.setup_for, assembly.manager.records)
    assert [setup.config(LogSettings).level for setup in setups] == ["debug", "error"]


def test_a_plugin_reads_its_config_by_class(make):
    manager = make(
        one=SCHEMA
        + """
from pacs_core.contracts import CodecDescriptor
@hookimpl
def pacs_codecs(setup):
    name = setup.config(Settings).name
    return [CodecDescriptor(name, frozenset(), frozenset(), object)]
"""
    )
    assembly = assemble(Config(plugin={"one": {"name": "chosen"}}), manager)
    assert [d.name for _, d in assembly.registry.entries(CodecDescriptor)] == ["chosen"]


def test_a_class_that_the_plugin_did_not_declare_is_said_to_be(make):
    assembly = assemble(Config(), make(one=SCHEMA))
    (record,) = assembly.manager.records
    with pytest.raises(LookupError, match=r"plugin one did not .* it from the hook pacs_config"):
        assembly.setup_for(record).config(dict)


def test_a_plugin_knows_its_name_and_a_directory_of_its_own(make):
    config = structure({"node": {"data_directory": "somewhere"}}, Config, "")
    assembly = assemble(config, make(one=SCHEMA, two=SCHEMA))
    plugins = [assembly.setup_for(record).plugin for record in assembly.manager.records]
    assert [(p.name, p.directory) for p in plugins] == [
        ("one", Path("somewhere/one")),
        ("two", Path("somewhere/two")),
    ]


@pytest.mark.parametrize("kind", ["store", "index"])
def test_a_store_or_index_that_no_plugin_provides(make, kind):
    config = structure({"archive": {kind: "moon"}}, Config, "")
    with pytest.raises(ConfigError, match=f"archive.{kind}: no plugin provides 'moon'; there is n"):
        assemble(config, make())


def test_a_required_audit_sink_that_no_plugin_provides(make):
    config = structure({"audit": {"required": ["a", "b"]}}, Config, "")
    with pytest.raises(ConfigError) as caught:
        assemble(config, make())
    assert caught.value.problems == (
        "audit.required: no audit sink 'a'",
        "audit.required: no audit sink 'b'",
    )
