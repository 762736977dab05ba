"""A node with services that infer, and the example of one as a process of its own."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define
from pacs_ai.api import Inferences, RequestFilter
from pydicom import Dataset

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.cli.main import main
from pacs_core.contracts import Level, Query, SingleValue
from pacs_core.dataset import read_file_meta, tag_of, texts
from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

EXAMPLE = Path(__file__).parents[3] / "contrib" / "pacs-ai-example" / "src"
sys.path.append(str(EXAMPLE))  # not installed: nothing of contrib is in our environment

from pacs_ai_example.results import write  # noqa: E402
from pacs_ai_example.samples import make_series  # noqa: E402

PLUGINS = (
    "ai",
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
PATIENCE = 120.0


@define
class Example:
    """The example service, as a process."""

    process: "subprocess.Popen[str]"
    http: int
    dicom: int

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def run_example(*arguments: str) -> Iterator[Example]:
    """Run the example service for a ``with`` block."""
    command = [sys.executable, "-m", "pacs_ai_example", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        words = process.stdout.readline().split()
        ports = {word.partition(":")[0]: int(word.partition(":")[2]) for word in words[1:]}
        yield Example(process, ports.get("http", 0), ports.get("dicom", 0))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@define
class Tap:
    """A way to a server that writes down what goes there."""

    port: int
    said: bytearray


@contextmanager
def tap(server: int) -> Iterator[Tap]:
    """Have a port that leads to that of a server for a ``with`` block."""
    said = bytearray()

    class Between(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", server)) as there:
                back = threading.Thread(target=self.answer, args=(there,))
                back.start()
                while data := self.request.recv(65536):
                    said.extend(data)
                    there.sendall(data)
                there.shutdown(socket.SHUT_WR)
                back.join()

        def answer(self, there: socket.socket) -> None:
            with suppress(OSError):
                while data := there.recv(65536):
                    self.request.sendall(data)
                self.request.shutdown(socket.SHUT_WR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Between) as between:
        thread = threading.Thread(target=between.serve_forever, daemon=True)
        thread.start()
        yield Tap(between.server_address[1], said)
        between.shutdown()


@define
class Site:
    """A node, and what tests ask of it."""

    node: NodeThread

    @property
    def inferences(self) -> Any:
        return self.node.node.opened.node.find(Inferences)

    def store(self, images: list[Dataset], calling: str = "CT1") -> list[int]:
        """Store images by C-STORE, and return the statuses."""

        async def send() -> list[int]:
            classes = {str(each.SOPClassUID) for each in images}
            contexts = [Proposal(each, ("1.2.840.10008.1.2.1",)) for each in classes]
            statuses = []
            async with connect(self.node.peer, contexts, calling_ae_title=calling) as association:
                for image in images:
                    file = write(image)
                    data = file[read_file_meta(file).dataset_offset :]
                    uid = str(image.SOPInstanceUID)
                    answer = await association.c_store(str(image.SOPClassUID), uid, data)
                    statuses.append(answer.status)
            return statuses

        return anyio.run(send)

    def requests(self, **wanted: Any) -> list[Any]:
        async def read() -> list[Any]:
            return [e async for e in self.inferences.requests(RequestFilter(**wanted), 100)]

        return self.node.call(read)

    def results(self, **wanted: Any) -> list[Any]:
        async def read() -> list[Any]:
            return [e async for e in self.inferences.results(RequestFilter(**wanted), 100)]

        return self.node.call(read)

    def ask(self, service: str, study: str, **more: Any) -> Any:
        async def ask() -> Any:
            return await self.inferences.ask(service, study, **more)

        return self.node.call(ask)[0]

    def finish(self, number: int, *states: str) -> Any:
        """Wait until a request is in one of some states, and return it."""
        wanted = states or ("answered", "failed", "cancelled")

        def found() -> Any:
            return self.node.call(self.inferences.find, number)

        until(lambda: found().state in wanted, PATIENCE)
        return found()

    def instances(self, study: str) -> dict[str, str]:
        """Return SOP Class UIDs by SOP Instance UID of what is found of a study."""
        uid, sop_class = tag_of("SOPInstanceUID"), tag_of("SOPClassUID")

        async def search() -> dict[str, str]:
            condition = SingleValue(tag_of("StudyInstanceUID"), study)
            query = Query(Level.IMAGE, (condition,), frozenset({uid, sop_class}))
            archive = self.node.node.opened.node.archive
            return {
                texts(match, uid)[0]: texts(match, sop_class)[0]
                async for match in archive.search(query)
            }

        return self.node.call(search)

    def read(self, study: str, uid: str) -> Dataset:
        """Return the dataset of an instance."""
        from pacs_core.contracts import InstancePath

        archive = self.node.node.opened.node.archive

        async def read() -> Dataset:
            instance = await archive.locate(InstancePath(study, uid))
            assert instance is not None
            return await archive.read_dataset(instance)

        return self.node.call(read)

    def run(self, *words: str) -> int:
        """Run a command on the node's configuration."""
        return main([*words, "--config", str(self.node.data_directory / "pacs.toml")])


@contextmanager
def open_site(
    directory: Path,
    services: dict[str, Any],
    *,
    rules: list[dict[str, Any]] | None = None,
    peers: dict[str, Any] | None = None,
    port: int = 0,
    plugins: tuple[str, ...] = (),
    **more: Any,
) -> Iterator[Site]:
    """Run a node with services for a ``with`` block."""
    own = {"first_pause": 0.2, "longest_pause": 0.5, **more.pop("ai", {})}
    plugin = {"ai": {"services": services, "rules": rules or [], **own}, "jobs": {"poll": 0.1}}
    tables: dict[str, Any] = {
        "node": {"port": port, "data_directory": str(directory)},
        "plugin": {**plugin, **more.pop("plugin", {})},
        "peers": peers or {},
        "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
        **more,
    }
    with node_thread(directory, tables, plugins=(*PLUGINS, *plugins)) as node:
        yield Site(node)


@pytest.fixture(scope="session")
def service_ports() -> Callable[[], int]:
    return find_free_port


@pytest.fixture(scope="module")
def tools() -> Any:
    """Return what tests work with."""

    class Tools:
        PLUGINS = PLUGINS
        Site = Site
        open_site = staticmethod(open_site)
        run_example = staticmethod(run_example)
        tap = staticmethod(tap)
        make_series = staticmethod(make_series)
        find_free_port = staticmethod(find_free_port)
        dumps = staticmethod(json.dumps)

    return Tools
