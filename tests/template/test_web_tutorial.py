"""The tutorial on web routes, followed to the letter in an empty folder and a clean environment."""

import re
from pathlib import Path

import httpx
import pytest

from .test_tutorial import BLOCK, commands, start_clean, write

__all__ = ["start_clean"]

pytestmark = pytest.mark.timeout(600)

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "write-a-web-route.md"


def test_the_tutorial_works(tmp_path, run_clean, start_clean):
    printed, consoles = [], []
    for language, path, text in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")):
        if path:
            write(tmp_path / path, text)
        elif language == "sh":
            printed.append(run_clean(tmp_path, *text.split()))
        else:
            consoles.append(text)
    assert re.search(r"census +0\.1\.0 +census +loaded", printed[0])
    assert re.search(r"\b\d\d passed", printed[-1])
    write(tmp_path / "pacs.toml", "[node]\nport = 0\n[plugin.web]\nport = 0\n")
    serve, ask = consoles
    node = start_clean(tmp_path, *commands(serve)[0].split())
    lines = [node.stdout.readline() for _ in range(2)]
    (url,) = re.findall(r"web: (\S+)", lines[1])
    said = [re.sub(r"127\.0\.0\.1:\d+", "HOST", line) for line in lines]
    expected = serve.splitlines(keepends=True)[1:]
    assert said == [re.sub(r"127\.0\.0\.1:\d+", "HOST", line) for line in expected]
    path = commands(ask)[0].rpartition("8042/")[2]
    assert httpx.get(url + path, timeout=20).text == ask.splitlines()[1]
