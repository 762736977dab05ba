"""The page that walks from an order to reconciliation, run as it is written."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pacs_core.api.commands import main
from pacs_core.testing.node import node_process

from .conftest import PLUGINS, wait_for

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "from-order-to-reconciliation.md"
FILE = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDED = ("sop-worklist", "sop-mpps", "sop-storage-commitment", "sop-query-retrieve")


def commands(text):
    """Return each command, and the lines that it is to print."""
    for block in CONSOLE.findall(text):
        for part in block.split("$ ")[1:]:
            command, *wanted = part.splitlines()
            yield shlex.split(command), wanted


def run(words, capsys):
    if words[0] == "pacs":
        capsys.readouterr()
        code = main(words[1:])
        said = capsys.readouterr()
        return code, said.out, said.err
    done = subprocess.run(
        [sys.executable, *words[1:]], capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def is_said(wanted, said):
    """Tell whether a line is there; three dots stand for anything."""
    pattern = r"\s+".join(
        ".*?" if word == "..." else re.escape(word) for word in wanted.split()
    ).replace(r"\s+.*?\s+", r"\s.*?")
    return re.search(pattern.removeprefix(r".*?\s+").removesuffix(r"\s+.*?"), said)


@pytest.mark.peer
def test_the_page_is_true(tmp_path, monkeypatch, capsys):
    text = PAGE.read_text(encoding="utf-8")
    files = dict(FILE.findall(text))
    tables = tomllib.loads(files.pop("pacs.toml"))
    tables["plugin"]["hl7"]["port"] = 0
    folder = tmp_path / "node"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(folder)
    with node_process(folder, tables, plugins=(*PLUGINS, *NEEDED)) as node:
        (port,) = re.findall(r"hl7: mllp://127.0.0.1:(\d+)", node.process.stdout.readline())
        text = text.replace("127.0.0.1:2575", f"127.0.0.1:{port}").replace("11112", str(node.port))
        for words, wanted in commands(text):

            def is_true(words=words, wanted=wanted):
                code, said, error = run(words, capsys)
                assert code == 0, (words, said, error)
                return all(is_said(line, said) for line in wanted)

            # What other processes do a moment later, such as moving the step on, is asked again.
            is_asked = words[1] in {"worklist", "mpps", "commitments", "find", "correct"}
            if is_asked:
                wait_for(is_true, words)
            else:
                assert is_true(), words
