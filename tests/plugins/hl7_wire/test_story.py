"""The page that walks from an order to reconciliation, run as it is written."""

import os
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
EXAMPLE = Path(__file__).parents[3] / "contrib" / "pacs-ai-example" / "src"
NEEDED = (
    "sop-worklist", "sop-mpps", "sop-storage-commitment", "sop-query-retrieve", "ai", "web",
    "dicomweb",
)  # fmt: skip
ASKED_AGAIN = {"worklist", "mpps", "commitments", "find", "correct", "ai list"}
"""Commands that show what other processes do a moment later, such as moving the step on."""


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
        [sys.executable, *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
    )
    return done.returncode, done.stdout, done.stderr


def is_said(wanted, said):
    """Tell whether a line is there; three dots stand for anything."""
    pattern = r"\s+".join(
        ".*?" if word == "..." else re.escape(word) for word in wanted.split()
    ).replace(r"\s+.*?\s+", r"\s.*?")
    return re.search(pattern.removeprefix(r".*?\s+").removesuffix(r"\s+.*?"), said)


@pytest.fixture
def service():
    """Return where the example service is, which runs as the page says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pacs_ai_example", "--http", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
    )
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().rpartition(':')[2].strip()}/infer"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.peer
def test_the_page_is_true(tmp_path, monkeypatch, capsys, service):
    text = PAGE.read_text(encoding="utf-8")
    files = dict(FILE.findall(text))
    tables = tomllib.loads(files.pop("pacs.toml"))
    tables["plugin"]["hl7"]["port"] = 0
    tables["plugin"]["ai"]["services"]["lesion"]["url"] = service
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

            if {words[1], " ".join(words[1:3])} & ASKED_AGAIN:
                wait_for(is_true, words)
            else:
                assert is_true(), words
