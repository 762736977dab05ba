"""Finding and importing plugins: what is wrong with one stays with that one."""

import sys

import pytest
from importlib_metadata import Distribution, EntryPoint

from pacs_core.plugins import API_VERSION, PluginError, PluginManager, PluginPolicy, PluginState

MAJOR, MINOR = API_VERSION


def states(manager):
    return {record.name: record.state.value for record in manager.records}


def record_of(manager, name):
    return next(record for record in manager.records if record.name == name)


def test_a_loaded_plugin_is_recorded_with_source_and_hooks(plugins):
    plugins.add(
        "good",
        """
        @hookimpl
        def pacs_codecs(setup):
            return []

        @hookimpl
        def pacs_access(setup):
            return []
        """,
        distribution="good-plugin",
        version="2.3",
    )
    record = record_of(plugins.manager(), "good")
    assert record.state is PluginState.LOADED
    assert (record.distribution, record.version, record.source) == (
        "good-plugin",
        "2.3",
        "good-plugin 2.3",
    )
    assert record.hooks == ("pacs_access", "pacs_codecs")


def test_a_disabled_plugin_is_never_imported(plugins):
    module = plugins.add("off", "raise SystemError('imported')")
    manager = plugins.manager(disabled=("off",))
    record = record_of(manager, "off")
    assert record.state is PluginState.DISABLED
    assert "disabled" in record.reason
    assert record.plugin is None
    assert module not in sys.modules
    assert manager.loaded == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 +", "SyntaxError"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
        ("@hookimpl\ndef pacs_no_such_hook(): pass", "unknown hooks pacs_no_such_hook"),
        ("@hookimpl\ndef pacs_codecs(setup, more): return []", "PluginValidationError"),
        (f"PACS_API_VERSION = ({MAJOR}, {MINOR + 1})", "plugin API"),
        (f"PACS_API_VERSION = ({MAJOR + 1}, 0)", "plugin API"),
        ("PACS_API_VERSION = 'one'", "loading"),
    ],
)
def test_what_cannot_be_loaded_is_quarantined(plugins, source, said):
    plugins.add("broken", source, distribution="broken-dist", version="0.9")
    plugins.add("sound", "@hookimpl\ndef pacs_codecs(setup): return []")
    manager = plugins.manager()
    assert states(manager) == {"broken": "quarantined", "sound": "loaded"}
    record = record_of(manager, "broken")
    assert said in record.reason
    assert record.source == "broken-dist 0.9"
    assert record.traceback
    assert [name for name, _ in manager.call("pacs_codecs", setup=None)] == [
        record_of(manager, "sound")
    ]


def test_an_unknown_hook_is_answered_with_the_known_ones(plugins):
    plugins.add("typo", "@hookimpl\ndef pacs_codec(setup): return []")
    reason = record_of(plugins.manager(), "typo").reason
    assert "unknown hooks pacs_codec;" in reason
    assert "pacs_codecs" in reason


@pytest.mark.parametrize("version", [(MAJOR, MINOR), (MAJOR, 0)])
def test_a_plugin_for_this_api_or_an_older_minor_is_loaded(plugins, version):
    plugins.add("fits", f"PACS_API_VERSION = {version}")
    assert states(plugins.manager()) == {"fits": "loaded"}


def test_an_entry_point_that_names_nothing_is_quarantined(plugins):
    module = plugins.add("real")
    plugins.add("nothing", target=f"{module}:missing")
    manager = plugins.manager()
    assert states(manager) == {"nothing": "quarantined", "real": "loaded"}
    assert "AttributeError" in record_of(manager, "nothing").reason


def test_keyboard_interrupt_is_not_a_plugin_that_fails(plugins):
    plugins.add("interrupted", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        plugins.manager()


def test_a_name_taken_twice_is_quarantined_with_both_sources_and_imported_from_neither(plugins):
    first = plugins.add("same", distribution="one", version="1.0")
    second = plugins.add("same", distribution="two", version="2.0")
    manager = plugins.manager()
    assert states(manager) == {"same": "quarantined"}
    assert "one 1.0" in manager.records[0].reason
    assert "two 2.0" in manager.records[0].reason
    assert first not in sys.modules
    assert second not in sys.modules


def test_the_same_entry_point_found_twice_is_one_plugin(plugins):
    plugins.add("twice")
    manager = PluginManager(found=[*plugins.points, *plugins.points])
    assert states(manager) == {"twice": "loaded"}


def test_order_comes_from_the_policy_and_then_from_names(plugins):
    for name in ("delta", "alpha", "charlie", "bravo"):
        plugins.add(name, "@hookimpl\ndef pacs_codecs(setup): return []")
    manager = plugins.manager(order=("delta", "charlie", "not-installed"))
    expected = ["delta", "charlie", "alpha", "bravo"]
    assert [record.name for record in manager.records] == expected
    called = [record.name for record, _ in manager.call("pacs_codecs", setup=None)]
    assert called == expected


@pytest.mark.parametrize("raised", ["ValueError('no')", "SystemExit('no')"])
def test_a_hook_that_raises_quarantines_its_plugin_for_all_hooks(plugins, raised):
    plugins.add(
        "raises",
        f"""
        @hookimpl
        def pacs_codecs(setup):
            raise {raised}

        @hookimpl
        def pacs_access(setup):
            return []
        """,
    )
    plugins.add("sound", "@hookimpl\ndef pacs_codecs(setup): return [1]")
    manager = plugins.manager()
    results = [(r.name, value) for r, value in manager.call("pacs_codecs", setup=None)]
    assert results == [("sound", [1])]
    assert "pacs_codecs raised" in record_of(manager, "raises").reason
    assert list(manager.call("pacs_access", setup=None)) == []


def test_required_plugins_are_named_all_at_once_with_the_reason(plugins):
    plugins.add("broken", "raise RuntimeError('boom')")
    plugins.add("off")
    plugins.add("good")
    manager = plugins.manager(disabled=("off",), required=("off", "broken", "absent", "good"))
    with pytest.raises(PluginError) as caught:
        manager.check_required()
    message = str(caught.value)
    assert "broken: loading" in message
    assert "boom" in message
    assert "off: disabled" in message
    assert "absent: not installed" in message
    assert "good" not in message


def test_strict_requires_everything_that_is_not_disabled(plugins):
    plugins.add("first", "raise RuntimeError('one')")
    plugins.add("second", "raise RuntimeError('two')")
    plugins.add("off", "raise RuntimeError('three')")
    manager = plugins.manager(strict=True, disabled=("off",))
    with pytest.raises(PluginError, match=r"first: .*one.*second: .*two") as caught:
        manager.check_required()
    assert "three" not in str(caught.value)


def test_nothing_is_required_by_default(plugins):
    plugins.add("broken", "raise RuntimeError('boom')")
    manager = plugins.manager()
    manager.check_required()
    assert manager.loaded == []


def test_metadata_that_are_missing_do_not_stop_the_others(plugins, tmp_path):
    folder = tmp_path / "half-removed-1.0.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text("[pacs_core.plugins]\nhalf = no_such_module\n")
    plugins.add("sound")
    manager = PluginManager(found=[*plugins.points, *Distribution.at(folder).entry_points])
    assert states(manager) == {"half": "quarantined", "sound": "loaded"}
    assert record_of(manager, "half").source == "unknown 0"


def test_an_object_can_be_a_plugin(plugins):
    module = plugins.add(
        "holder",
        """
        class Plugin:
            @hookimpl
            def pacs_codecs(self, setup):
                return [setup]

        plugin = Plugin()
        """,
    )
    plugins.add("object", target=f"{module}:plugin")
    manager = plugins.manager()
    assert [v for _, v in manager.call("pacs_codecs", setup="given")] == [["given"]]


def test_an_implementation_takes_only_the_arguments_that_it_names(plugins):
    plugins.add("short", "@hookimpl\ndef pacs_codecs(): return ['none']")
    manager = plugins.manager()
    assert [v for _, v in manager.call("pacs_codecs", setup=object())] == [["none"]]


def test_the_environment_is_searched_unless_entry_points_are_given():
    manager = PluginManager(PluginPolicy())
    assert record_of(manager, "sop-verification").distribution == "pacs-sop-verification"
    assert PluginManager(found=[]).records == []


def test_an_entry_point_without_a_distribution_has_an_unknown_source():
    manager = PluginManager(found=[EntryPoint("loose", "json", "pacs_core.plugins")])
    assert manager.records[0].source == "unknown 0"
