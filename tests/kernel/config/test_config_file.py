"""Keys that name a file: what is in it belongs to the configuration."""

import tomllib

import pytest
from attrs import field, frozen

from pacs_core.config import Config, ConfigChanges, ConfigError, effective_tables, structure
from pacs_core.config.show import to_toml
from pacs_core.contracts import RELOADABLE, ConfigFile


@frozen
class Schema:
    policy: ConfigFile | None = field(default=None, metadata=RELOADABLE)


def load(path) -> Schema:
    return structure({"policy": str(path)}, Schema, "plugin.p")


def test_the_text_is_part_of_the_value(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("é = 1", encoding="utf-8")
    before = load(path)
    assert before.policy is not None
    assert (before.policy.path, before.policy.text) == (path, "é = 1")
    assert load(path) == before
    path.write_text("é = 2", encoding="utf-8")
    changes = ConfigChanges()
    assert changes.merge(before, load(path), "plugin.p") == load(path)
    assert changes.taken == ["plugin.p.policy"]


def test_it_is_shown_as_its_path(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("the text")
    shown = to_toml(effective_tables(Config(), {"p": load(path)}))
    assert tomllib.loads(shown)["plugin"]["p"] == {"policy": str(path)}


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin1").write_bytes(b"\xe9")
    (tmp_path / "large").write_bytes(b" " * ((4 << 20) + 1))
    for name, problem in {
        "none": "none cannot be read: No such file or directory",
        "latin1": "latin1 is no text in UTF-8",
        "large": "large has more than 4 MiB",
    }.items():
        with pytest.raises(ConfigError) as raised:
            load(tmp_path / name)
        assert raised.value.problems == (f"plugin.p.policy: {tmp_path}/{problem}",)
    with pytest.raises(ConfigError, match="expected a string"):
        structure({"policy": 1}, Schema, "plugin.p")
