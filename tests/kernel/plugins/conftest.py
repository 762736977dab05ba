"""Plugins for tests: modules written into a directory, and entry points that name them."""

import sys
import textwrap

import pytest
from attrs import define, field
from importlib_metadata import Distribution, EntryPoint

from pacs_core.contracts import NodeSettings, Setup
from pacs_core.plugins import PluginManager, PluginPolicy, Registry

HEADER = """
from pacs_core.contracts import *
from pacs_core.plugins import hookimpl

class Echo(ServiceProvider):
    async def handle(self, operation):
        return Response(status=0)

def echo(name, *uids):
    return ServiceProviderDescriptor(name, dict.fromkeys(uids, SopClassSupport()), lambda n: Echo())
"""


@define
class PluginMaker:
    """Writes plugin modules into a directory on the path, and makes their entry points."""

    directory: object
    points: list = field(factory=list)

    def add(self, name, source="", distribution=None, version="1.0", target=None):
        """Add a plugin; its module notes in `imported` that it was imported."""
        module = f"made_{len(self.points)}_{name.replace('-', '_')}"
        source = HEADER + textwrap.dedent(source)
        (self.directory / f"{module}.py").write_text(source, encoding="utf-8")
        point = EntryPoint(name, target or module, "pacs_core.plugins")
        metadata = _metadata(self.directory, distribution or f"dist-{name}", version)
        self.points.append(point._for(metadata))
        return module

    def manager(self, **policy):
        return PluginManager(PluginPolicy(**policy), self.points)

    def collect(self, manager):
        registry = Registry()
        setup = Setup(NodeSettings(data_directory=self.directory))
        registry.collect(manager, lambda _: setup)
        return registry


def _metadata(directory, name, version):
    folder = directory / f"{name}-{version}-{len(list(directory.iterdir()))}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return Distribution.at(folder)


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    directory = tmp_path / "site"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    before = set(sys.modules)
    yield PluginMaker(directory)
    for name in set(sys.modules) - before:
        if name.startswith("made_"):
            del sys.modules[name]
