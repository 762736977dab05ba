"""Registration: wrong types, names taken, and who keeps what."""

import pytest

from pacs_core.contracts import CodecDescriptor, ServiceProviderDescriptor
from pacs_core.plugins import KINDS

ECHO = "1.2.840.10008.1.1"


def providers(expression):
    return f"@hookimpl\ndef pacs_service_providers(setup): return {expression}"


def reasons(manager):
    return {record.name: record.reason for record in manager.records if record.reason}


@pytest.mark.parametrize(
    "result",
    ["None", "5", "[None]", "'text'", f"echo('x', '{ECHO}')", "[Echo]", "iter([])", "{'a': 1}"],
)
def test_anything_but_a_sequence_of_descriptors_is_quarantined(plugins, result):
    plugins.add("wrong", providers(result))
    plugins.add("zulu", providers(f"[echo('echo', '{ECHO}')]"))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert "must return a sequence of ServiceProviderDescriptor" in reasons(manager)["wrong"]
    assert [d.name for _, d in registry.entries(ServiceProviderDescriptor)] == ["echo"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_every_kind_is_checked(plugins, kind):
    plugins.add("wrong", f"@hookimpl\ndef {kind.hook}(): return [object()]")
    manager = plugins.manager()
    plugins.collect(manager)
    assert f"{kind.hook}: must return a sequence" in reasons(manager)["wrong"]


def test_a_descriptor_that_cannot_be_read_is_quarantined(plugins):
    plugins.add("odd", providers("[ServiceProviderDescriptor('odd', None, None)]"))
    manager = plugins.manager()
    plugins.collect(manager)
    assert "TypeError" in reasons(manager)["odd"]


def test_the_earlier_plugin_keeps_a_sop_class(plugins):
    plugins.add("alpha", providers(f"[echo('a', '{ECHO}')]"), distribution="one", version="1.5")
    plugins.add("bravo", providers(f"[echo('b', '1.2.3', '{ECHO}')]"))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    reason = reasons(manager)["bravo"]
    assert f"SOP class {ECHO} is provided by plugin alpha (one 1.5) already" in reason
    assert [d.name for _, d in registry.entries(ServiceProviderDescriptor)] == ["a"]


def test_order_decides_who_is_earlier(plugins):
    plugins.add("alpha", providers(f"[echo('a', '{ECHO}')]"))
    plugins.add("bravo", providers(f"[echo('b', '{ECHO}')]"))
    manager = plugins.manager(order=("bravo",))
    registry = plugins.collect(manager)
    assert list(reasons(manager)) == ["alpha"]
    assert [d.name for _, d in registry.entries(ServiceProviderDescriptor)] == ["b"]


def test_the_earlier_plugin_keeps_a_name(plugins):
    for name, uid in (("alpha", "1.2"), ("bravo", "1.3")):
        plugins.add(name, providers(f"[echo('same', '{uid}')]"))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert "service provider 'same' is provided by plugin alpha" in reasons(manager)["bravo"]
    record, descriptor = registry.find_named(ServiceProviderDescriptor, "same")
    assert (record.name, list(descriptor.sop_classes)) == ("alpha", ["1.2"])


@pytest.mark.parametrize(
    "result",
    ["[echo('same', '1.2'), echo('same', '1.3')]", "[echo('a', '1.2'), echo('b', '1.2')]"],
)
def test_a_plugin_that_registers_something_twice_is_quarantined(plugins, result):
    plugins.add("double", providers(result))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert "twice" in reasons(manager)["double"]
    assert registry.entries(ServiceProviderDescriptor) == []


def test_names_of_different_kinds_do_not_conflict(plugins):
    plugins.add("alpha", providers("[echo('same', '1.2')]"))
    codec = "[CodecDescriptor('same', frozenset(), frozenset(), object)]"
    plugins.add("bravo", f"@hookimpl\ndef pacs_codecs(setup): return {codec}")
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert reasons(manager) == {}
    assert registry.find_named(CodecDescriptor, "same")[0].kinds == {"codec"}


@pytest.mark.parametrize("last", ["raise RuntimeError('late')", "return 5"])
def test_a_plugin_that_fails_late_has_taken_nothing_from_others(plugins, last):
    plugins.add(
        "alpha", providers(f"[echo('a', '{ECHO}')]") + f"\n@hookimpl\ndef pacs_access(): {last}"
    )
    plugins.add("bravo", providers(f"[echo('b', '{ECHO}')]"))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert list(reasons(manager)) == ["alpha"]
    assert [d.name for _, d in registry.entries(ServiceProviderDescriptor)] == ["b"]


def test_a_plugin_that_lost_a_name_keeps_no_other(plugins):
    plugins.add("alpha", providers(f"[echo('a', '{ECHO}')]"))
    codec = "[CodecDescriptor('c', frozenset(), frozenset(), object)]"
    plugins.add(
        "bravo",
        providers(f"[echo('b', '{ECHO}', '1.9')]")
        + f"\n@hookimpl\ndef pacs_codecs(setup): return {codec}",
    )
    plugins.add("charlie", providers("[echo('c', '1.9')]"))
    manager = plugins.manager()
    registry = plugins.collect(manager)
    assert list(reasons(manager)) == ["bravo"]
    assert registry.entries(CodecDescriptor) == []
    assert [d.name for _, d in registry.entries(ServiceProviderDescriptor)] == ["a", "c"]


def test_what_is_not_there_has_no_name(plugins):
    registry = plugins.collect(plugins.manager())
    assert registry.find_named(CodecDescriptor, "none") is None
    assert registry.entries(CodecDescriptor) == []
