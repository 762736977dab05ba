"""Hooks that plugins publish, implemented by others; capabilities that they require."""

import pytest

from pacs_core.app import assemble
from pacs_core.app.hooks import NodeHooks
from pacs_core.config import Config
from pacs_core.contracts import CapabilityDescriptor
from pacs_core.plugins import Fault, PluginState

PUBLISHER = """
from pacs_core.plugins import hookspec

class Hooks:
    @staticmethod
    @hookspec
    def acme_words(setup, loud): ...

@hookimpl
def pacs_hookspecs():
    return Hooks
"""
WORD = "@hookimpl\ndef acme_words(setup, loud): return setup.plugin.name.upper() if loud else 1"


def record(manager, name):
    return next(each for each in manager.records if each.name == name)


def hooks_of(plugins, **policy):
    assembly = assemble(Config(), plugins.manager(**policy))
    return assembly, NodeHooks(assembly)


@pytest.mark.parametrize("order", [("publisher", "word"), ("word", "publisher")])
def test_the_order_of_plugins_does_not_matter(plugins, order):
    sources = {"publisher": PUBLISHER, "word": WORD}
    for name in sources:
        plugins.add(name, sources[name])
    assembly, hooks = hooks_of(plugins, order=order)
    assert [r.state for r in assembly.manager.records] == [PluginState.LOADED] * 2
    (contribution,) = hooks.call("acme_words", loud=True)
    assert (contribution.plugin, contribution.result) == ("word", "WORD")
    assert contribution.source == "dist-word 1.0"


def test_an_implementation_that_raises_is_quarantined_and_others_are_called(plugins):
    plugins.add("publisher", PUBLISHER)
    plugins.add("a", "@hookimpl\ndef acme_words(setup, loud): raise ValueError('hoarse')")
    plugins.add("b", WORD)
    assembly, hooks = hooks_of(plugins)
    assert [each.plugin for each in hooks.call("acme_words", loud=True)] == ["b"]
    assert record(assembly.manager, "a").fault is Fault.HOOK_RAISED
    assert [each.plugin for each in hooks.call("acme_words", loud=True)] == ["b"]


def test_the_publisher_refuses_what_it_cannot_use(plugins):
    plugins.add("publisher", PUBLISHER)
    plugins.add("word", WORD)
    assembly, hooks = hooks_of(plugins)
    (contribution,) = hooks.call("acme_words", loud=False)
    hooks.refuse(contribution, "acme_words: return a word")
    assert record(assembly.manager, "word").fault is Fault.WRONG_RESULT
    assert list(hooks.call("acme_words", loud=True)) == []


def test_a_hook_that_nobody_publishes_cannot_be_called(plugins):
    _, hooks = hooks_of(plugins)
    with pytest.raises(LookupError, match="acme_words: return it in pacs_hookspecs"):
        hooks.call("acme_words")


def test_an_implementation_without_its_publisher(plugins):
    plugins.add("strict", WORD)
    plugins.add("liberal", WORD.replace("@hookimpl", "@hookimpl(optionalhook=True)"))
    manager = plugins.manager()
    assert record(manager, "strict").fault is Fault.UNKNOWN_HOOK
    assert "optionalhook=True" in record(manager, "strict").reason
    liberal = record(manager, "liberal")
    assert (liberal.state, liberal.hooks) == (PluginState.LOADED, ())


@pytest.mark.parametrize("hook", ["acme_words", "pacs_codecs", "pacs_hookspecs"])
def test_a_hook_whose_name_is_taken(plugins, hook):
    plugins.add("first", PUBLISHER)
    plugins.add("second", PUBLISHER.replace("acme_words", hook))
    manager = plugins.manager()
    assert record(manager, "first").state is PluginState.LOADED
    assert record(manager, "second").fault is Fault.CONFLICT
    assert f"exist already: {hook}" in record(manager, "second").reason


@pytest.mark.parametrize(
    "body",
    ["return None", "return object()", "return 5", "raise RuntimeError", "return __import__"],
)
def test_specifications_that_are_none(plugins, body):
    plugins.add("publisher", f"@hookimpl\ndef pacs_hookspecs(): {body}")
    plugins.add("good")
    manager = plugins.manager()
    assert record(manager, "publisher").state is PluginState.QUARANTINED
    assert record(manager, "good").state is PluginState.LOADED


def test_arguments_that_the_specification_does_not_have(plugins):
    plugins.add("publisher", PUBLISHER)
    plugins.add("word", "@hookimpl\ndef acme_words(volume): return 1")
    assert record(plugins.manager(), "word").fault is Fault.UNKNOWN_HOOK


def capability(interface, requires=""):
    return f"""
import interfaces_of_tests as i
@hookimpl
def pacs_capabilities(setup):
    return [CapabilityDescriptor("c", i.{interface}, lambda node: i.{interface}(), ({requires}))]
"""


@pytest.fixture
def interfaces(plugins, monkeypatch):
    text = "from pacs_core.contracts import Component\n"
    text += "".join(f"class {name}(Component): pass\n" for name in "ABC")
    (plugins.directory / "interfaces_of_tests.py").write_text(text)
    yield
    monkeypatch.delitem(__import__("sys").modules, "interfaces_of_tests", raising=False)


@pytest.mark.usefixtures("interfaces")
def test_what_is_required_comes_first(plugins):
    plugins.add("one", capability("A", "i.B, i.C"))
    plugins.add("three", capability("C").replace('"c"', '"three"'))
    plugins.add("two", capability("B", "i.C,").replace('"c"', '"two"'))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    interface = registry.find_named(CapabilityDescriptor, "c")[1].interface
    assert [r.name for r, _ in registry.providers(interface)] == ["three", "two", "one"]


@pytest.mark.usefixtures("interfaces")
def test_a_missing_requirement_takes_those_that_require_it_along(plugins):
    plugins.add("one", capability("A", "i.B,"))
    plugins.add("two", capability("B", "i.C,").replace('"c"', '"two"'))
    plugins.add("other", capability("C").replace('"c"', '"other"'))
    manager = plugins.manager(disabled=("other",))
    plugins.collect(manager)
    for name in ("one", "two"):
        assert record(manager, name).fault is Fault.REQUIREMENT
        assert "requires interfaces_of_tests.C, and no plugin" in record(manager, name).reason


@pytest.mark.usefixtures("interfaces")
def test_capabilities_that_require_each_other(plugins):
    plugins.add("one", capability("A", "i.B,"))
    plugins.add("two", capability("B", "i.A,").replace('"c"', '"two"'))
    plugins.add("good", capability("C").replace('"c"', '"good"'))
    manager = plugins.manager()
    plugins.collect(manager)
    assert record(manager, "one").fault is Fault.REQUIREMENT
    assert "break the circle" in record(manager, "one").reason
    assert record(manager, "good").state is PluginState.LOADED
