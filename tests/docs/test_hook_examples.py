"""The examples in the hook specifications are plugins that work."""

import inspect
import linecache
import sys
import textwrap
from pathlib import Path

import anyio
import pytest
from importlib_metadata import EntryPoint

from pacs_core.app import assemble
from pacs_core.app.hooks import NodeHooks
from pacs_core.archive import NoArchive
from pacs_core.config import ConfigError, structure
from pacs_core.config.model import Config
from pacs_core.contracts import (
    AuditTrail,
    CapabilityDescriptor,
    CliCommandDescriptor,
    Codec,
    CodecDescriptor,
    Component,
    EncodeOptions,
    EventHandlerDescriptor,
    FrameFormat,
    IndexDescriptor,
    Node,
    ObjectStoreDescriptor,
    ServiceDescriptor,
)
from pacs_core.plugins import KINDS, PluginManager, PluginState, hookspecs

HERE = Path(__file__).parent
MEMORY_ARCHIVE = HERE.parent / "distributions" / "pacs-memory-archive" / "src"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("pacs_"))
KIND_OF = {kind.hook: kind for kind in KINDS}


def example_of(hook):
    documentation = inspect.getdoc(getattr(hookspecs, hook)) or ""
    _text, _, block = documentation.partition("\n::\n")
    return textwrap.dedent(block).strip() + "\n"


@pytest.fixture
def assembled(tmp_path, monkeypatch):
    """Return a function that assembles a node from the example of a hook alone."""
    monkeypatch.syspath_prepend(HERE / "modules")
    monkeypatch.syspath_prepend(MEMORY_ARCHIVE)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def assembled(hook, **plugin_table):
        module = f"example_of_{hook}"
        (tmp_path / f"{module}.py").write_text(example_of(hook), encoding="utf-8")
        manager = PluginManager(found=[EntryPoint("example", module, "pacs_core.plugins")])
        tables = {"node": {"data_directory": str(tmp_path)}, "plugin": {"example": plugin_table}}
        return assemble(structure(tables, Config, ""), manager)

    yield assembled
    for name in set(sys.modules) - before:
        if name.startswith(("example_of_", "my_", "pacs_memory_archive")):
            del sys.modules[name]
    linecache.checkcache()


def setup_in(assembly):
    (record,) = assembly.manager.records
    return assembly.setup_for(record)


def created(descriptor, assembly):
    """Create what a descriptor describes; return all of it."""
    node = Node(assembly.config.settings, NoArchive(), _Silent())
    if isinstance(descriptor, CodecDescriptor):
        return [descriptor.create()]
    if isinstance(descriptor, CliCommandDescriptor):
        return [descriptor.load()]
    parts = ("create", "authenticator", "authorizer", "observer")
    creators = [create for part in parts if (create := getattr(descriptor, part, None))]
    takes_node = "node" in inspect.signature(creators[0]).parameters
    return [create(node if takes_node else setup_in(assembly)) for create in creators]


class _Silent(AuditTrail):
    async def record(self, event):
        pass


def test_there_are_hooks():
    others = {
        "pacs_hookspecs",
        "pacs_config",
        "pacs_check",
        "pacs_conformance",
        "pacs_security_findings",
        "pacs_data_versions",
    }
    assert others | {*KIND_OF} == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_an_example_of_itself(hook):
    documentation = inspect.getdoc(getattr(hookspecs, hook))
    assert "Example\n-------\n::\n" in documentation
    assert f"@hookimpl\ndef {hook}(" in example_of(hook)
    assert documentation.splitlines()[0].endswith(".")


@pytest.mark.parametrize("hook", HOOKS)
def test_an_example_loads_and_registers(assembled, hook):
    assembly = assembled(hook)
    (record,) = assembly.manager.records
    assert record.state is PluginState.LOADED, record.traceback or record.reason
    assert hook in record.hooks
    if hook in KIND_OF:
        assert record.kinds == {KIND_OF[hook].label}


@pytest.mark.parametrize("hook", KIND_OF)
def test_what_an_example_registers_can_be_created(assembled, hook):
    assembly = assembled(hook)
    ((_record, descriptor),) = assembly.registry.entries(KIND_OF[hook].descriptor)
    parts = created(descriptor, assembly)
    assert parts
    expected = {"codec": Codec, "CLI command": object}.get(KIND_OF[hook].label, Component)
    assert all(isinstance(part, expected) for part in parts)


def test_the_config_example_is_structured(assembled):
    assembly = assembled("pacs_config", greeting="good morning")
    (config,) = assembly.plugin_configs.values()
    assert config.greeting == "good morning"


def test_the_check_example_finds_what_is_wrong(assembled):
    with pytest.raises(ConfigError, match=r"plugin\.example: opens: later than it closes"):
        assembled("pacs_check", opens=21)


def test_the_example_of_a_published_hook_calls_it(assembled):
    assembly = assembled("pacs_hookspecs")
    ((_record, descriptor),) = assembly.registry.entries(EventHandlerDescriptor)
    node = Node(assembly.config.settings, NoArchive(), _Silent(), hooks=NodeHooks(assembly))
    anyio.run(descriptor.create(node).start)


def test_the_capability_example_is_found(assembled):
    assembly = assembled("pacs_capabilities")
    ((_record, descriptor),) = assembly.registry.entries(CapabilityDescriptor)
    node = Node(assembly.config.settings, NoArchive(), _Silent())
    node.capabilities.provide(descriptor.interface, descriptor.create(node))
    assert node.find(descriptor.interface).now() == "12:00"


def test_the_service_example_runs(assembled):
    assembly = assembled("pacs_services")
    ((_record, descriptor),) = assembly.registry.entries(ServiceDescriptor)

    async def run():
        service = descriptor.create(Node(assembly.config.settings, NoArchive(), _Silent()))
        with anyio.move_on_after(5) as scope:
            await service.run(scope.cancel)
        assert service.beats == 1

    anyio.run(run)


def test_the_store_example_is_configured(assembled):
    assembly = assembled("pacs_object_stores", capacity=5)
    store = assembly.registry.find_named(ObjectStoreDescriptor, "bucket")[1].create(
        setup_in(assembly)
    )
    assert store._capacity == 5


def test_the_index_example_knows_the_data_directory(assembled, tmp_path):
    assembly = assembled("pacs_indexes")
    index = assembly.registry.find_named(IndexDescriptor, "tree")[1].create(setup_in(assembly))
    assert index.directory == tmp_path


def test_the_codec_example_decodes_what_it_encodes(assembled):
    assembly = assembled("pacs_codecs")
    codec = assembly.registry.find_named(CodecDescriptor, "rle")[1].create()
    frame = FrameFormat(20, 30, 1, 8, 8, False, "MONOCHROME2")
    data = bytes(300) + bytes(i % 7 // 3 for i in range(300))
    assert codec.decode(codec.encode(data, frame, EncodeOptions()).data, frame).data == data


def test_the_command_example_runs(assembled, capsys):
    assembly = assembled("pacs_cli_commands")
    command = assembly.registry.find_named(CliCommandDescriptor, "greet")[1].load()
    assert command("you") == 0
    assert capsys.readouterr().out == "hello you\n"
