"""Versions are exact, in one list that pip and uv share, and come from nowhere in particular."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# In pieces, so that this file does not contain what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs"),
        ("registry", "yarnpkg"),
        ("conda", "anaconda", "org"),
    )
]


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def workspace_members():
    projects = [ROOT, *sorted(ROOT.glob("plugins/*/"))]
    texts = [(path / "pyproject.toml").read_text(encoding="utf-8") for path in projects]
    return {tomllib.loads(text)["project"]["name"] for text in texts}


def group(name):
    """Return the requirements of a dependency group, without those that it includes."""
    return [line for line in PYPROJECT["dependency-groups"][name] if isinstance(line, str)]


def needed_distributions():
    """Return names of all third-party distributions that the workspace needs here."""
    members = workspace_members()
    waiting = [Requirement(line) for name in ("archive", "dev") for line in group(name)]
    waiting += [Requirement(name) for name in members]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        environments = [{"extra": extra} for extra in requirement.extras or ("",)]
        for line in distribution(requirement.name).requires or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate(e) for e in environments):
                waiting.append(inner)
    return {name for name, _extras in seen} - members


def test_a_clone_installs_all_plugins_and_no_tools_unless_asked():
    assert PYPROJECT["tool"]["uv"]["default-groups"] == ["archive"]
    archive = {Requirement(line).name for line in group("archive")}
    assert archive <= workspace_members()
    extra = PYPROJECT["project"]["optional-dependencies"]["archive"]
    assert workspace_members() <= archive | {Requirement(line).name for line in extra}
    assert {"include-group": "archive"} in PYPROJECT["dependency-groups"]["dev"]


def test_pip_and_uv_have_the_same_constraints():
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == constraints()


def test_every_constraint_is_one_exact_version():
    names = [line.partition("==")[0] for line in constraints()]
    assert names == sorted(set(names))
    for line in constraints():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.]*", line), line


def test_everything_that_is_needed_is_constrained():
    pinned = {line.partition("==")[0] for line in constraints()}
    assert needed_distributions() <= pinned


def test_workspace_members_are_not_constrained():
    assert not workspace_members() & {line.partition("==")[0] for line in constraints()}


@pytest.fixture(scope="module")
def tracked_files():
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False
    )
    if listing.returncode:
        pytest.skip("no git checkout: nothing tells which files belong to the project")
    files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in files if path.is_file()]


def test_no_file_names_a_package_registry(tracked_files):
    assert len(tracked_files) > 100
    found = [
        (path.relative_to(ROOT), registry)
        for path in tracked_files
        for registry in REGISTRIES
        if registry.encode() in path.read_bytes()
    ]
    assert found == []
