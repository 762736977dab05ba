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


def test_stores_are_shown_with_what_they_are_created_with(pacs, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(
        '[archive]\nstore = "a"\n[stores.a]\ntype = "filesystem"\nroot = "/a"\n'
    )
    shown = pacs("config", "show")
    layout = "{study}/{series}/{instance}.dcm"
    stores = tomllib.loads(shown.out)["stores"]
    assert stores == {"a": {"type": "filesystem", "root": "/a", "layout": layout, "threads": 16}}
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


def test_all_problems_are_reported_at_once(pacs, tmp_path: Path) -> None:
    """Of the kernel's tables, of the plugins', and what no plugin provides."""
    (tmp_path / "pacs.toml").write_text(
        """
        [node]
        port = "x"
        [archive]
        store = "shelf"
        index = "cards"
        [audit]
        required = ["scribe"]
        [transcoding.codecs]
        "RLE Lossless" = "runs"
        [plugins]
        required = ["gone"]
        [plugin.audit-json]
        nonsense = 1
        [plugin.store-filesystem]
        nonsense = 2
        [plugin.absent]
        """
    )
    expected = (
        "node.port: expected a whole number",
        "archive.store: no plugin provides 'shelf'; there is",
        "archive.index: no plugin provides 'cards'; there is",
        "audit.required: no audit sink 'scribe'",
        "transcoding.codecs",
        "gone: not installed",
        "plugin.audit-json: unknown key 'nonsense'",
        "plugin.store-filesystem: unknown key 'nonsense'",
        "plugin.absent: no such plugin is installed",
    )
    for command in (["config", "check"], ["serve"], ["import", "x"], ["index", "verify"]):
        result = pacs(*command)
        assert (result.code, result.out) == (2, "")
        for problem in expected:
            assert result.err.count(problem) == 1, (command, problem, result.err)
        assert len(result.err.splitlines()) == len(expected)


def test_what_uses_no_archive_needs_no_choice_of_one(pacs, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text('[plugins]\ndisabled = ["store-filesystem"]\n')
    result = pacs("convert", samples / "CT_small.dcm", "out.dcm", "-t", "implicit")
    assert (result.code, result.err) == (0, "")


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
