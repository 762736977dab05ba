"""Commands in the documentation are ones that ``pacs`` understands, with options that it has."""

import re
import shlex
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from importlib_metadata import EntryPoint, entry_points

from pacs_core.cli import contributed
from pacs_core.cli.application import build_app
from pacs_core.cli.file_commands import add_file_command, find_file_command
from pacs_core.plugins import ENTRY_POINT_GROUP, PluginManager

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "how-to").rglob("*.md")),
    *sorted((ROOT / "docs" / "tutorial").rglob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
]
BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:uv run )?pacs (.+)$", re.MULTILINE)


def commands(page):
    """Return what comes after ``pacs`` in the blocks of a page, as a shell would split it."""
    found = []
    for text in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in COMMAND.findall(text.replace("\\\n", " ")):
            words = shlex.split(re.split(r"\s[|>&]\s?", line)[0], comments=True)
            found += [words] if "..." not in words else []
    return found


@cache
def app_with(*words):
    """Return the application in which a command is loaded that has these words."""
    app, found = build_app(), descriptors()
    if (command := find_file_command(words)) is not None:
        add_file_command(app, command)
    with pytest.MonkeyPatch.context() as patch:  # plugins are asked once, not for each command
        patch.setattr(contributed, "_descriptors", lambda _: (found, True))
        contributed.add_contributed(app, list(words), frozenset(), frozenset())
    return app


@cache
def descriptors():
    """Return the commands of all plugins, and of those of contrib that pages tell of."""
    found = [*entry_points(group=ENTRY_POINT_GROUP)]
    found.append(EntryPoint("xds", "pacs_xds", ENTRY_POINT_GROUP))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "contrib" / "pacs-xds" / "src")
        patch.setattr(contributed, "PluginManager", lambda policy: PluginManager(policy, found))
        return contributed._descriptors([])[0]


def is_name(word):
    return word.replace("-", "_").isidentifier() and not word.startswith("-")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_commands_are_understood(page):
    problems = []
    for words in commands(page):
        app = app_with(*takewhile(is_name, words[:3]))
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            problems.append((" ".join(words), str(error)))
    assert problems == []
