"""`pacs config`."""

import json
import tomllib
from pathlib import Path


def test_show_is_toml_that_can_be_read_back(pacs, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text('[node]\nae_title = "ARCHIVE"\n')
    shown = pacs("config", "show")
    assert shown.code == 0
    tables = tomllib.loads(shown.out)
    assert tables["node"]["ae_title"] == "ARCHIVE"
    assert "index-sqlite" in tables["plugin"]
    again = tmp_path / "again.toml"
    again.write_text(shown.out)
    assert pacs("config", "show", "--config", again).out == shown.out


def test_check(pacs, tmp_path: Path) -> None:
    sound = pacs("config", "check")
    assert (sound.code, sound.out) == (0, "the configuration is sound\n")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[node]\nport = 'x'\n[plugin.sop-storage]\ntransfer_syntaxes = []\n")
    result = pacs("config", "check", "--config", wrong)
    assert result.code == 2
    assert "node.port" in result.err
    assert "plugin.sop-storage" in result.err


def test_check_finds_a_store_that_is_not_there(pacs, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text('[archive]\nstore = "shelf"\n')
    result = pacs("config", "check")
    assert result.code == 2
    assert "archive.store: no plugin provides 'shelf'" in result.err


def test_a_file_that_is_not_there(pacs) -> None:
    result = pacs("config", "check", "--config", "nowhere.toml")
    assert result.code == 2
    assert "nowhere.toml: cannot be read" in result.err


def test_what_keeps_a_node_from_starting_is_audited(pacs, tmp_path: Path) -> None:
    config, data = tmp_path / "wrong.toml", tmp_path / "elsewhere"
    config.write_text(f'[node]\nport = "x"\ndata_directory = "{data}"\n[nodes]\n')
    assert pacs("serve", "--config", config).code == 2
    (line,) = (data / "audit" / "audit.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert (event["event"], event["outcome"]) == ("configuration-error", "failure")
    problems = " ".join(event["details"]["problems"])
    assert "node.port: expected a whole number" in problems
    assert "nodes: unknown table" in problems
