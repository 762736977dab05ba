"""From an empty folder to a discovered, tested plugin of every kind, in a clean environment."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException

pytestmark = pytest.mark.timeout(600)

TEMPLATE = Path(__file__).parents[2] / "cookiecutter"
KINDS = json.loads((TEMPLATE / "cookiecutter.json").read_text())["kind"]
USUAL = ("sop-class", "codec", "object-store", "service", "web-routes")
"""Kinds that stand for all where time is short: the others have no other form."""
ANSWERS = {"sop-class": {"name": "a"}, "codec": {"name": "z9-" * 12 + "last"}}
"""Other names than the usual: the shortest, and the longest."""
AUTHOR = 'Jörg "Joe" O\'Neil'


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in USUAL else pytest.mark.long) for kind in KINDS],
)
def test_a_new_project_is_green_at_once(render, run_clean, kind):
    """Its tests, the linter, the formatter and the type checker, in an environment of its own."""
    project = render(kind, **ANSWERS.get(kind, {}))
    printed = run_clean(project, project / ".ci" / "run", "-q")
    assert " passed" in printed
    plugins = json.loads(run_clean(project, "uv", "run", "-q", "pacs", "plugins", "--json"))
    (mine,) = [plugin for plugin in plugins if plugin["name"] == project.name]
    assert (mine["state"], mine["reason"]) == ("loaded", "")


@pytest.mark.parametrize("name", ["a", "b" * 40])
@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_neither_too_long_nor_to_be_joined(render, kind, name):
    """Whatever the length of the name that is put into them."""
    project = render(kind, name=name)
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
        finished = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_is_complete(render, kind):
    project = render(kind, author=AUTHOR)
    package = project / "src" / project.name.replace("-", "_")
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    module = package.relative_to(project).as_posix()
    own = {f"{module}/{name}" for name in ("__init__.py", "config.py", "py.typed")}
    assert files >= own | {"README.md", "CHANGELOG.md", "pyproject.toml", ".ci/run"}
    assert not [path for path in files if path.startswith("kinds")]
    assert not [path for path in files if "cookiecutter" in (project / path).read_text()]
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert metadata["authors"] == [{"name": AUTHOR}]


@pytest.mark.parametrize(
    "answers",
    [
        {"name": "Upper"},
        {"name": "../up"},
        {"name": "a b"},
        {"name": "a--b"},
        {"name": "-a"},
        {"name": "x" * 41},
        {"name": "json"},
        {"name": "import"},
        {"name": "pacs-core"},
        {"name": 'a"; import os'},
        {"author": " "},
        {"author": "a\nb"},
    ],
    ids=str,
)
def test_answers_of_which_nothing_can_be_made(render, tmp_path, answers):
    with pytest.raises(FailedHookException):
        render("codec", **answers)
    assert list(tmp_path.iterdir()) == []


def test_no_two_private_sop_classes_are_the_same(render):
    uids = set()
    for name in ("first", "second"):
        project = render("sop-class", name=name)
        text = (project / "src" / name / "provider.py").read_text()
        (uid,) = [line.split('"')[1] for line in text.splitlines() if line.startswith("AVAIL")]
        assert uid in (project / "README.md").read_text()
        uids.add(uid)
    assert len(uids) == 2
