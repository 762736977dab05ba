"""`pacs plugins`, and commands that plugins contribute."""

import json
from collections.abc import Callable

import pytest

GREETER = """
from pacs_core.contracts import CliCommandDescriptor
from pacs_core.plugins import hookimpl

def load():
    def greet(name: str = "world", *, times: int = 1) -> int:
        '''Greet somebody.'''
        print("hello", *[name] * times)
        return 7
    return greet

def fail():
    raise RuntimeError("no such thing")

@hookimpl
def pacs_cli_commands():
    return [
        CliCommandDescriptor("greet", "Greet somebody.", load),
        CliCommandDescriptor("index greet", "Greet the index.", load),
        CliCommandDescriptor("choir sing loudly", "Sing.", load),
        CliCommandDescriptor("fail", "Fail.", fail),
        CliCommandDescriptor("serve", "Serve badly.", load),
        CliCommandDescriptor("index rebuild", "Rebuild badly.", load),
    ]
"""


def test_the_plugins_of_this_environment(pacs) -> None:
    result = pacs("plugins", "--json")
    assert result.code == 0
    plugins = {each["name"]: each for each in json.loads(result.out)}
    assert plugins["index-sqlite"]["provides"] == ["index"]
    assert {each["state"] for each in plugins.values()} == {"loaded"}
    table = pacs("plugins").out.splitlines()
    assert table[0].split()[:3] == ["NAME", "VERSION", "DISTRIBUTION"]
    assert len(table) == len(plugins) + 1


def test_disabled_plugins_say_so(pacs, tmp_path) -> None:
    (tmp_path / "pacs.toml").write_text('[plugins]\ndisabled = ["sop-storage"]\n')
    plugins = {each["name"]: each for each in json.loads(pacs("plugins", "--json").out)}
    assert plugins["sop-storage"]["state"] == "disabled"


def test_what_is_wrong_with_a_plugins_table_stands_beside_the_list(pacs, tmp_path) -> None:
    (tmp_path / "pacs.toml").write_text("[plugin.sop-storage]\nspeed = 11\n")
    result = pacs("plugins")
    assert result.code == 2
    assert "'speed'" in result.err
    assert "sop-storage" in result.out


@pytest.fixture
def greeter(plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plugin("greeter", GREETER))


@pytest.mark.usefixtures("greeter")
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ("greet", "hello world\n"),
        ("greet you --times 2", "hello you you\n"),
        ("index greet", "hello world\n"),
        ("choir sing loudly --times 3", "hello world world world\n"),
    ],
)
def test_a_contributed_command(pacs: Callable, words: str, printed: str) -> None:
    result = pacs(*words.split())
    assert (result.code, result.out) == (7, printed)


@pytest.mark.usefixtures("greeter")
def test_the_help_lists_contributed_commands(pacs: Callable) -> None:
    result = pacs("--help")
    assert result.code == 0
    assert "Greet somebody." in result.out
    assert "choir" in result.out
    assert "Greet the index." in pacs("index", "--help").out


@pytest.mark.usefixtures("greeter")
def test_no_plugin_takes_a_command_of_the_kernel(pacs: Callable) -> None:
    result = pacs("--help")
    assert "Serve badly." not in result.out
    ignored = [line for line in result.err.splitlines() if "was ignored" in line]
    assert len(ignored) == 2
    assert all("greeter" in line for line in ignored)
    assert "Rebuild badly." not in pacs("index", "--help").out


@pytest.mark.usefixtures("greeter")
def test_a_command_that_cannot_be_loaded(pacs: Callable) -> None:
    result = pacs("fail")
    assert result.code == 1
    assert "greeter" in result.err
    assert "RuntimeError: no such thing" in result.err
    assert "Traceback" not in result.err


@pytest.mark.usefixtures("greeter")
def test_a_disabled_plugin_contributes_nothing(pacs: Callable, tmp_path) -> None:
    (tmp_path / "off.toml").write_text('[plugins]\ndisabled = ["greeter"]\n')
    result = pacs("greet", "--config", tmp_path / "off.toml")
    assert result.code == 2
    assert "greet" in result.err
