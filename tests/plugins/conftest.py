"""Distributions with plugins, written into a folder that the node's process has on its path."""

import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from attrs import define
from importlib_metadata import distributions

HEADER = """
from pacs_core.contracts import *
from pacs_core.dimse import *
from pacs_core.plugins import hookimpl

class Answer(ServiceProvider):
    async def handle(self, operation):
        return Response(status=0)
"""


@define
class Site:
    """A folder of installed distributions."""

    folder: Path

    @property
    def entry_points(self):
        """Of all distributions that are installed here."""
        found = distributions(path=[str(self.folder)])
        return [point for each in found for point in each.entry_points]

    def link(self, distribution: Path) -> None:
        """Install a distribution from its source folder."""
        project = tomllib.loads((distribution / "pyproject.toml").read_text())["project"]
        info = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        heading = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(heading, encoding="utf-8")
        points = project["entry-points"]["pacs_core.plugins"].items()
        lines = ["[pacs_core.plugins]", *(f"{name} = {target}" for name, target in points)]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for package in (distribution / "src").iterdir():
            (self.folder / package.name).symlink_to(package)

    def install(self, name: str, source: str, *, version: str = "1.0", metadata: str = "") -> str:
        """Install a distribution `dist-NAME` with one plugin; return its module's name."""
        module = f"{name.replace('-', '_')}_of_plugin_tests"
        info = self.folder / f"dist_{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        heading = f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: {version}\n"
        (info / "METADATA").write_text(heading + metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[pacs_core.plugins]\n{name} = {module}\n")
        text = HEADER + textwrap.dedent(source)
        (self.folder / f"{module}.py").write_text(text, encoding="utf-8")
        return module


@pytest.fixture
def new_site(tmp_path, monkeypatch):
    """An empty site, first on the path of this process; what is imported from it is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Site(folder)
    for name in [name for name in sys.modules if name.endswith("_of_plugin_tests")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An empty site, first on the path of processes that are started."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield Site(folder)
