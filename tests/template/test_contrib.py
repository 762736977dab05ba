"""The examples in contrib, each in a clean environment of its own, as at a third party's."""

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

CONTRIB = Path(__file__).parents[2] / "contrib"
PROJECTS = sorted(path.parent.name for path in CONTRIB.glob("*/pyproject.toml"))
_LEFT = shutil.ignore_patterns(".venv", "__pycache__", "*_cache", "uv.lock")
GREEN = [
    # Of what is no plugin, the tests of the plugin that it is for say enough, and quicker.
    pytest.param(name, marks=pytest.mark.long) if name == "pacs-ai-example" else name
    for name in PROJECTS
]


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a project to where no workspace is around it."""

    def take(name: str) -> Path:
        return Path(shutil.copytree(CONTRIB / name, tmp_path / name, ignore=_LEFT))

    return take


@pytest.mark.parametrize("name", GREEN)
def test_it_is_green(copy, run_clean, name):
    project = copy(name)
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["pytest", "-q"]):
        run_clean(project, "uv", "run", *command)
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    if "entry-points" not in table:
        return  # it is no plugin
    plugins = json.loads(run_clean(project, "uv", "run", "-q", "pacs", "plugins", "--json"))
    (point,) = table["entry-points"]["pacs_core.plugins"]
    assert (point, "loaded") in [(plugin["name"], plugin["state"]) for plugin in plugins]


@pytest.mark.parametrize("name", PROJECTS)
def test_it_uses_the_public_api_only(name):
    """No private module and no private name of the kernel, and none of our other plugins."""
    for path in (CONTRIB / name / "src").rglob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("from pacs_", "import pacs_")):
                module = line.split()[1]
                if module.split(".")[0] == name.replace("-", "_"):
                    continue
                if module.split(".")[1:2] == ["api"] and not module.startswith("pacs_core"):
                    continue  # what a plugin publishes for others
                assert module.startswith("pacs_core"), line
                assert not any(part.startswith("_") for part in module.split(".")), line


def test_none_is_enabled_here():
    """In this workspace's own environment nobody has asked for them."""
    from importlib.metadata import distributions

    installed = {distribution.metadata["Name"] for distribution in distributions()}
    assert installed.isdisjoint(PROJECTS)
