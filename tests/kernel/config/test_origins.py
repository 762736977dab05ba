"""Every key of a configuration, with where its value comes from."""

import tomllib

import pytest
from attrs import field, frozen

from pacs_core.config import Config, inspect_tables, trace_values
from pacs_core.contracts import ConfigOrigin, Secret


@frozen
class Greeter:
    word: str = "hello"
    token: Secret = field(factory=lambda: Secret(env="TOKEN"))
    key: Secret = field(factory=lambda: Secret(file="/run/key"))
    empty: str | None = None


FILE = {
    "node": {"ae_title": "MAIN"},
    "peers": {"ward": {"ae_title": "WARD", "host": "h", "port": 1}},
}
OVERRIDES = {"node": {"port": 104, "host": None}}


@pytest.fixture
def values():
    config, problems = inspect_tables(FILE, OVERRIDES)
    assert problems == []
    plugins = {"greeter": Greeter("moin")}
    tables = FILE | {"plugin": {"greeter": {"word": "moin"}}}
    found = trace_values(config, plugins, tables, OVERRIDES)
    assert FILE["node"] == {"ae_title": "MAIN"}  # what was read is not changed by reading it
    return {each.path: each for each in found}


def test_values_come_from_default_file_and_command_line(values):
    default, file, line = ConfigOrigin.DEFAULT, ConfigOrigin.FILE, ConfigOrigin.COMMAND_LINE
    assert (values["node.ae_title"].value, values["node.ae_title"].origin) == ('"MAIN"', file)
    assert (values["node.port"].value, values["node.port"].origin) == ("104", line)
    assert (values["node.host"].value, values["node.host"].origin) == ('"127.0.0.1"', default)
    assert values["peers.ward.host"].origin is file
    assert values["peers.ward.default_character_set"].origin is default
    assert values["network.timeouts.idle"].origin is default
    assert values["plugin.greeter.word"].origin is file
    assert values["plugin.greeter.empty"].value == ""


def test_of_secrets_only_their_place_is_told(values, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    assert values["plugin.greeter.token"].origin is ConfigOrigin.ENVIRONMENT
    assert values["plugin.greeter.token"].value == '{ env = "TOKEN" }'
    assert values["plugin.greeter.key"].origin is ConfigOrigin.FILE
    assert values["plugin.greeter.key"].is_secret
    assert not values["plugin.greeter.word"].is_secret
    assert "hunter2" not in str(values)


def test_every_key_is_there_once():
    found = trace_values(Config(), {}, {}, {})
    paths = [each.path for each in found]
    assert len(paths) == len(set(paths)) > 60
    assert {each.origin for each in found} == {ConfigOrigin.DEFAULT}
    assert all(tomllib.loads(f"x = {each.value}") for each in found if each.value)
