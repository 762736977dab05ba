"""A node that shares studies, and a registry and repository as a process of their own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define
from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

LOCATION = "1.3.6.1.4.1.21367.13.80.110"
REPOSITORY = "1.3.6.1.4.1.21367.13.80.1"
DOMAIN = "1.3.6.1.4.1.21367.13.20.1000"
PLUGINS = (
    "xds",
    "jobs",
    "database",
    "web",
    "dicomweb",
    "store-filesystem",
    "index-sqlite",
    "audit-json",
    "sop-storage",
    "codec-basic",
)
EXPLICIT = "1.2.840.10008.1.2.1"


@define
class Registry:
    """The process, and what it has seen."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/state") as answer:
            return json.load(answer)

    def mode(self, name: str) -> None:
        urllib.request.urlopen(f"{self.url}/mode/{name}", b"").close()


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    command = [sys.executable, str(Path(__file__).parent / "registry.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Registry(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def tables(registry: Registry, port: int, **xds: Any) -> dict[str, Any]:
    """Return the tables of a node."""
    own = {
        "location_uid": LOCATION,
        "domains": {"": DOMAIN},
        "repository": {"url": f"{registry.url}/repository", "unique_id": REPOSITORY},
        "registry": {"url": f"{registry.url}/registry"},
        "updates": {"url": f"{registry.url}/update"},
        "web_url": f"http://127.0.0.1:{port}/dicom-web",
        "first_pause": 0.2,
        "longest_pause": 0.5,
        **xds,
    }
    own = {key: value for key, value in own.items() if value is not None}
    return {
        "plugin": {"xds": own, "jobs": {"poll": 0.1}, "web": {"port": port}},
        "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
    }


@define
class Site:
    """A node, and what tests ask of it."""

    node: NodeThread
    web: int
    registry: Registry

    def store(self, *instances: Any) -> str:
        """Store instances by C-STORE, and return the UID of their study."""
        return store(self.node.peer, *instances)

    def registrations(self, study: str) -> list[Any]:
        from pacs_xds.interface import Registrations

        async def read() -> list[Any]:
            found = self.node.node.opened.node.find(Registrations)
            return [each async for each in found.search(study=study)]

        return self.node.call(read)

    def register(self, study: str) -> None:
        assert self.run("xds", "register", study) == 0

    def run(self, *words: str) -> int:
        return main([*words, "--config", str(self.node.data_directory / "pacs.toml")])

    def wait(self, study: str, *states: str) -> list[Any]:
        """Wait until the registrations of a study are in these states, the latest first."""
        until(lambda: tuple(str(e.state) for e in self.registrations(study)) == states, 60)
        return self.registrations(study)

    def waiting(self) -> list[Any]:
        """Return the jobs that are still to be done."""
        from pacs_jobs.api import JobFilter, JobQueue, JobState

        async def look() -> list[Any]:
            queue = self.node.node.opened.node.find(JobQueue)
            open_states = (JobState.WAITING, JobState.RUNNING)
            return [job async for job in queue.jobs(JobFilter(states=open_states))]

        return list(self.node.call(look))

    def audited(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self.node.data_directory.glob("audit*/**/*.jsonl*")):
            for line in path.read_text().splitlines():
                if line.startswith("{") and kind in line:
                    found.append(json.loads(line))
        return found

    def wait_audited(self, kind: str, text: str) -> dict[str, Any]:
        """Wait until an event of a kind says something, and return it."""

        def find() -> list[dict[str, Any]]:
            return [each for each in self.audited(kind) if text in json.dumps(each)]

        until(find, 60)
        return find()[0]


def store(peer: Any, *instances: Any) -> str:
    async def send() -> None:
        classes = {each.sop_class_uid for each in instances}
        contexts = [Proposal(each, (EXPLICIT,)) for each in classes]
        async with connect(peer, contexts) as association:
            for each in instances:
                answer = await association.c_store(
                    each.sop_class_uid, each.sop_instance_uid, each.encode()
                )
                assert answer.status == 0

    anyio.run(send)
    return str(instances[0].values["StudyInstanceUID"])


@contextmanager
def open_site(
    directory: Path,
    registry: Registry,
    *,
    plugins: tuple[str, ...] = (),
    plugin: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    web: int = 0,
    **xds: Any,
) -> Iterator[Site]:
    """Run a node for a ``with`` block.

    Parameters
    ----------
    directory : Path
    registry : Registry
    plugins : tuple of str
        Besides the usual ones.
    plugin, more : dict
        Tables of these, and other tables.
    web : int
        Port of its web server; 0 for any.
    **xds
        In ``[plugin.xds]``, in place of what is there.
    """
    port = web or find_free_port()
    given = {**tables(registry, port, **xds), **(more or {})}
    given["plugin"] |= plugin or {}
    with node_thread(directory, given, plugins=(*PLUGINS, *plugins)) as node:
        yield Site(node, port, registry)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Site]:
    """Return a node that registers what is complete."""
    directory = tmp_path_factory.mktemp("site")
    with open_site(directory, registry, register="complete", archive_manifests=True) as opened:
        yield opened


@pytest.fixture
def study() -> SampleStudy:
    return SampleStudy()


@pytest.fixture(scope="session")
def tools() -> Any:
    class Tools:
        LOCATION, REPOSITORY, DOMAIN, PLUGINS = LOCATION, REPOSITORY, DOMAIN, PLUGINS
        tables = staticmethod(tables)
        store = staticmethod(store)
        open_site = staticmethod(open_site)
        find_free_port = staticmethod(find_free_port)

    return Tools


@pytest.fixture(scope="module")
def shared(site: "Site") -> tuple[str, str, str]:
    """Return study, series and instance of an image that no test changes."""
    study = SampleStudy()
    image = study.make("CT")
    uid = site.store(image)
    series = str(image.values["SeriesInstanceUID"])
    return uid, series, image.sop_instance_uid
