"""What the page about the toolbox promises has tests, and each command has a promise."""

import re
from functools import cache
from pathlib import Path

import pytest

from pacs_core.cli.file_commands import GROUP
from pacs_core.entry_points import find_entry_points

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "toolbox.md"
STANDARD = re.compile(r"(PS3|RFC|§|Table|[A-Z]\.)[ \w.§-]*")
LINK = re.compile(r"\[(test_\w+)\]\(([^)#]+)\)")


def rows():
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[1] != "standard":
            yield cells


def commands_of(cell):
    return {word.split()[0] for word in cell.split(", ")}


@cache
def functions_of(path: Path):
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0][:60]) for row in rows()])
def test_each_promise_has_tests_that_exist(row):
    promise, standard, _, tests = row
    named = LINK.findall(tests)
    assert named, f"{promise}: no test"
    assert LINK.sub("", tests).replace(",", "").strip() == ""
    assert all(STANDARD.fullmatch(each) for each in standard.split(", ") if each), standard
    for name, path in named:
        assert name in functions_of((PAGE.parent / path).resolve()), f"{path} has no {name}"


def test_each_command_for_files_is_promised():
    promised = {word for row in rows() for word in commands_of(row[2])}
    commands = {command.name for command in find_entry_points(GROUP)}
    assert len(commands) > 20
    assert commands - promised == set()
