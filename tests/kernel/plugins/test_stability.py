"""The promise of docs/explanation/api-stability.md: what was written for an earlier API works."""

import logging
import re
import warnings
from pathlib import Path

import pytest

from pacs_core.plugins import API_VERSION, PluginManager, PluginState, RenamedHook, hookspec

REMOVED = "pacs-core 9.0"


class Later:
    """Specifications of a later version of the kernel."""

    @hookspec
    def pacs_config(self):
        """As it is."""

    @hookspec
    def pacs_decoders(self, setup, limits):
        """Was pacs_codecs(setup); has got an argument, and returns a mapping."""

    @hookspec(
        warn_on_impl_args={
            "setup": DeprecationWarning(f"the argument setup is now node; {REMOVED} removes it")
        }
    )
    def pacs_access(self, setup, node):
        """One argument takes the place of another."""


RENAMED = {"pacs_codecs": RenamedHook("pacs_decoders", "9.0", lambda found: dict.fromkeys(found))}


def later(plugins):
    return PluginManager(found=plugins.points, specifications=Later, renamed=RENAMED)


def call(manager, hook, **arguments):
    return {record.name: result for record, result in manager.call(hook, **arguments)}


def test_an_argument_that_was_added_changes_nothing_for_who_does_not_name_it(plugins):
    plugins.add("earlier", "@hookimpl\ndef pacs_decoders(setup): return setup")
    plugins.add("current", "@hookimpl\ndef pacs_decoders(limits, setup): return limits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager = later(plugins)
    assert call(manager, "pacs_decoders", setup=1, limits=2) == {"earlier": 1, "current": 2}
    assert [record.deprecated for record in manager.records] == [(), ()]


def test_the_old_name_of_a_hook_is_called_adapted_and_warned_of(plugins, caplog):
    plugins.add("earlier", "@hookimpl\ndef pacs_codecs(setup): return [setup]")
    with caplog.at_level(logging.WARNING), pytest.warns(DeprecationWarning, match=REMOVED):
        manager = later(plugins)
    (record,) = manager.records
    assert record.state is PluginState.LOADED
    assert record.hooks == ("pacs_decoders",)
    assert record.deprecated
    assert "earlier (dist-earlier 1.0): the hook pacs_codecs is called pacs_decoders" in caplog.text
    assert call(manager, "pacs_decoders", setup=1, limits=2) == {"earlier": {1: None}}


def test_who_implements_both_names_serves_both_versions_without_a_warning(plugins):
    source = "@hookimpl\ndef pacs_{0}(setup): return '{0}'\n"
    plugins.add("both", source.format("codecs") + source.format("decoders"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manager = later(plugins)
    assert call(manager, "pacs_decoders", setup=1, limits=2) == {"both": "decoders"}


def test_an_argument_that_goes_away_is_still_passed_and_warned_of(plugins, caplog):
    plugins.add("earlier", "@hookimpl\ndef pacs_access(setup): return setup")
    plugins.add("current", "@hookimpl\ndef pacs_access(node): return node")
    with caplog.at_level(logging.WARNING), pytest.warns(DeprecationWarning, match=REMOVED):
        manager = later(plugins)
    assert call(manager, "pacs_access", setup=1, node=2) == {"earlier": 1, "current": 2}
    warned = [record.name for record in manager.records if record.deprecated]
    assert warned == ["earlier"]
    assert "earlier (dist-earlier 1.0): the argument setup is now node" in caplog.text


def test_a_hook_of_an_old_name_that_raises_is_quarantined_as_any_other(plugins):
    plugins.add("earlier", "@hookimpl\ndef pacs_codecs(): return 7")
    with pytest.warns(DeprecationWarning, match=REMOVED):
        manager = later(plugins)
    assert call(manager, "pacs_decoders", setup=1, limits=2) == {}
    assert manager.records[0].state is PluginState.QUARANTINED


def test_an_author_who_turns_warnings_into_errors_is_stopped(plugins):
    plugins.add("earlier", "@hookimpl\ndef pacs_codecs(): return []")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        manager = later(plugins)
    assert manager.records[0].state is PluginState.QUARANTINED
    assert REMOVED in manager.records[0].reason


def test_whoever_states_an_api_version_states_that_of_this_kernel():
    """The page, our own plugins, those of contrib and what the template makes."""
    root = Path(__file__).parents[3]
    statement = re.compile(r"^PACS_API_VERSION = \((\d+), (\d+)\)", re.MULTILINE)
    stated = {
        path.relative_to(root): tuple(map(int, numbers))
        for folder in ("docs/explanation", "plugins", "contrib", "cookiecutter")
        for path in (root / folder).rglob("*.*")
        if path.suffix in (".py", ".md")
        for numbers in statement.findall(path.read_text(encoding="utf-8"))
    }
    assert Path("docs/explanation/api-stability.md") in stated
    assert len(stated) > 10
    assert set(stated.values()) == {API_VERSION}, stated
