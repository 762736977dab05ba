"""The tutorial, followed to the letter in an empty folder and a clean environment."""

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "write-a-sop-class.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, str, str]]:
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_tutorial_works(tmp_path, run_clean, start_clean):
    printed = []
    for language, path, text in blocks():
        if path:
            write(tmp_path / path, text)
        elif language == "sh":
            printed.append(run_clean(tmp_path, *text.split()))
        elif language == "text":
            assert text in printed[-1]
    assert re.search(r"\b2\d passed", printed[-1])
    serve, greet = (text for language, _, text in blocks() if language == "console")
    assert commands(serve) == ["uv run pacs serve"]
    node = start_clean(tmp_path, *commands(serve)[0].split(), "--port", "0")
    ready = node.stdout.readline()
    (port,) = re.findall(r":(\d+) ", ready)
    assert ready.replace(port, "11112") == serve.splitlines(keepends=True)[1]
    (command,) = commands(greet)
    answer = run_clean(tmp_path, *command.replace("11112", port).split())
    assert answer.endswith(greet.splitlines(keepends=True)[1])


def commands(console: str) -> list[str]:
    return [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]


@pytest.fixture
def start_clean(clean_options):
    """Return a function that starts a command, which is ended when the test ends."""
    started = []

    def start(directory: Path, *command: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **clean_options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)
