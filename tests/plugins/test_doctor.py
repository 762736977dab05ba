"""What the doctor finds, plugin by plugin."""

import logging
import sys

import pytest
from importlib_metadata import version

from pacs_core.app.doctor import diagnose
from pacs_core.testing.node import node_thread

ECHO = """
@hookimpl
def pacs_service_providers(setup):
    support = {"1.2.840.10008.1.1": SopClassSupport()}
    return [ServiceProviderDescriptor("echo", support, lambda node: Answer())]
"""
STORE = """
@hookimpl
def pacs_object_stores(setup):
    return [ObjectStoreDescriptor("memory", lambda setup: None)]
"""
INDEX = STORE.replace("object_stores", "indexes").replace("ObjectStore", "Index")
KERNEL = version("pacs-core")


@pytest.fixture
def examine(new_site, tmp_path):
    """Examine the plugins of the site; return the diagnosis, and the reports by name."""

    def run(config=""):
        path = tmp_path / "pacs.toml"
        path.write_text(config)
        diagnosis = diagnose(path, new_site.entry_points)
        return diagnosis, {report.record.name: report for report in diagnosis.plugins}

    return run


def actions(problems):
    return {problem.what: problem.action for problem in problems}


def test_a_sound_node_needs_no_action(new_site, examine):
    new_site.install("parts", ECHO + STORE + INDEX)
    diagnosis, plugins = examine()
    assert not diagnosis.needs_action
    assert plugins["parts"].provides == [
        "service provider echo (1 SOP class)",
        "object store memory",
        "index memory",
    ]
    assert plugins["parts"].config is None


def test_what_nobody_provides_is_named_with_who_would(examine):
    diagnosis, _ = examine()
    assert actions(diagnosis.problems) == {
        "no object store: this node archives nothing": "pip install pacs-store-filesystem",
        "no index: this node archives nothing": "pip install pacs-index-sqlite",
        "no SOP class: every presentation context will be refused": "pip install "
        "pacs-sop-verification pacs-sop-storage pacs-sop-query-retrieve",
    }
    assert diagnosis.needs_action


def test_a_quarantined_provider_is_named_instead_of_another(new_site, examine):
    new_site.install("rest", ECHO + STORE)
    new_site.install("broken-index", INDEX.replace("return [", "return [1 / 0, "))
    (problem,) = examine()[0].problems
    assert problem.what.startswith("no index:")
    assert problem.action == "repair broken-index, see pacs plugins doctor"


def test_a_running_node_names_what_it_lacks(new_site, tmp_path, caplog):
    new_site.install("rest", ECHO)
    with (
        caplog.at_level(logging.WARNING),
        node_thread(tmp_path / "data", plugins=new_site.entry_points),
    ):
        pass
    lines = [record.message for record in caplog.records if "pip install" in record.message]
    assert [line.partition(":")[0] for line in lines] == ["no object store", "no index"]


def test_effective_values_are_shown_and_secrets_are_not(new_site, examine, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_TESTS", "hunter2")
    new_site.install(
        "configured",
        ECHO
        + STORE
        + INDEX
        + """
from attrs import frozen

@frozen
class Config:
    token: Secret
    speed: int = 3
    name: str = "default"

@hookimpl
def pacs_config(): return Config
""",
    )
    diagnosis, plugins = examine(
        '[plugin.configured]\nspeed = 4\ntoken = { env = "TOKEN_OF_TESTS" }'
    )
    assert not diagnosis.needs_action
    assert plugins["configured"].config == {
        "token": {"env": "TOKEN_OF_TESTS"},
        "speed": 4,
        "name": "default",
    }
    assert "hunter2" not in repr(plugins)


@pytest.mark.parametrize(
    ("requirement", "unmet"),
    [
        ("pacs-core>=99", f"requires pacs-core>=99, but {KERNEL} is installed"),
        ("no-such-distribution", "requires no-such-distribution, but it is not installed"),
        ("pacs-core>=0.1", ""),
        (f"pacs-core=={KERNEL}", ""),
        ("pacs-core>=99; python_version < '3'", ""),
        ("pacs-core>=99; extra == 'later'", ""),
        ("this is no requirement", ""),
    ],
)
def test_requirements_of_the_distribution(new_site, examine, requirement, unmet):
    metadata = f"Requires-Dist: {requirement}\n"
    new_site.install("parts", ECHO + STORE + INDEX, metadata=metadata)
    diagnosis, plugins = examine()
    problems = [problem.what for problem in plugins["parts"].problems]
    assert problems == ([f"dist-parts 1.0 {unmet}"] if unmet else [])
    assert diagnosis.needs_action == bool(unmet)


def test_optional_features_that_are_not_installed_are_noted(new_site, examine):
    metadata = (
        "Provides-Extra: fast\nProvides-Extra: complete\n"
        "Requires-Dist: no-such-library>=2; extra == 'fast'\n"
        "Requires-Dist: pacs-core; extra == 'complete'\n"
    )
    new_site.install("parts", ECHO + STORE + INDEX, metadata=metadata)
    diagnosis, plugins = examine()
    assert not diagnosis.needs_action
    (note,) = plugins["parts"].notes
    assert "no-such-library>=2" in note
    assert "pip install 'dist-parts[fast]'" in note


def test_a_disabled_plugin_is_neither_imported_nor_a_problem(new_site, examine):
    module = new_site.install("off", "raise RuntimeError")
    new_site.install("parts", ECHO + STORE + INDEX)
    diagnosis, plugins = examine('[plugins]\ndisabled = ["off"]')
    assert not diagnosis.needs_action
    assert plugins["off"].notes == ["disabled by [plugins] disabled"]
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[node]\nport = 'high'", "configuration: node.port: expected a whole number"),
        ("[archive]\nstore = 'tape'", "archive.store: no plugin provides 'tape'"),
        ("[audit]\nrequired = ['tape']", "audit.required: no audit sink 'tape'"),
        ("[plugins]\nrequired = ['tape']", "required plugins are not available: tape"),
        ("[plugin.tape]\nspeed = 1", "plugin.tape: no such plugin is installed"),
        ("= nothing", "is not TOML"),
    ],
)
def test_what_is_wrong_with_the_configuration(new_site, examine, config, said):
    new_site.install("parts", ECHO + STORE + INDEX)
    diagnosis, plugins = examine(config)
    (problem,) = diagnosis.problems
    assert said in problem.what
    assert plugins["parts"].provides
