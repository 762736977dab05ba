"""`pacs init`: what it writes is started, and what it says is done."""

import shlex
import tomllib

import pytest

from pacs_core.cli.main import main
from pacs_core.testing.peer_programs import find_free_port


def test_what_it_writes_is_started_and_what_it_says_is_done(pacs, spawn, tmp_path):
    folder = tmp_path / "a folder"
    ports = [
        "--port",
        str(find_free_port()),
        "--tls-port",
        str(find_free_port()),
        "--web-port",
        "0",
    ]
    made = pacs("init", folder, "--yes", "--ae-title", "ARCHIVE", "--tls", *ports)
    assert (made.code, made.err) == (0, "")
    commands = [shlex.split(line)[1:] for line in made.out.splitlines() if line.startswith("  ")]
    names = [words[0] for words in commands]
    assert names == ["serve", "echo", "echo", "tls", "status", "doctor"]
    node = spawn(*commands[0])
    assert node.stdout.readline().startswith("ready: dicom://ARCHIVE@127.0.0.1:")
    for words in commands[1:-1]:
        done = pacs(*words)
        assert (done.code, done.err) == (0, ""), (words, done)
    assert pacs(*commands[-1]).code in (0, 1)
    keys = {p.name for p in (folder / "tls").iterdir() if not p.stat().st_mode & 0o077}
    assert {"ca.key", "node.key"} <= keys

    again = pacs("init", folder, "--yes")
    assert (again.code, "is there already" in again.err) == (1, True)


UNUSABLE = [("--ae-title", "MORE THAN SIXTEEN CHARACTERS"), ("--port", "-1")]


@pytest.mark.parametrize("option", UNUSABLE)
def test_what_no_node_would_take_is_not_written(pacs, tmp_path, option):
    refused = pacs("init", tmp_path / "new", "--yes", *option)
    assert refused.code == 2
    assert option[0][2:].replace("-", "_") in refused.err
    assert list((tmp_path / "new").iterdir()) == []


def test_it_asks(tmp_path, monkeypatch, capsys):
    answers = iter(['A"B\\', "", "x", "11113", "", "maybe", "no"])
    asked = []

    def answer(question):
        asked.append(question)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    assert main(["init", str(tmp_path), "--host", "127.0.0.2"]) == 2  # PS3.5 §6.2: no backslash
    assert len(asked) == 7
    assert asked[0] == "AE title of the archive [PACS]: "
    assert "'x' will not do" in capsys.readouterr().err


def test_answers_are_taken_as_they_are(tmp_path, monkeypatch):
    answers = iter(["CT #1'", "", "11113", "", "no"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert main(["init", str(tmp_path)]) == 0
    written = tomllib.loads((tmp_path / "pacs.toml").read_text())
    assert written["node"] == {
        "ae_title": "CT #1'",
        "host": "127.0.0.1",
        "port": 11113,
        "data_directory": str(tmp_path / "pacs-data"),
    }
    assert written["plugin"] == {"web": {"port": 8042}}


def test_without_somebody_it_says_so(pacs, tmp_path, monkeypatch):
    def nobody(_):
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    refused = pacs("init", tmp_path / "new")
    assert refused.code == 2
    assert "there is nobody to ask: say --yes" in refused.err
    assert not (tmp_path / "new").exists()
