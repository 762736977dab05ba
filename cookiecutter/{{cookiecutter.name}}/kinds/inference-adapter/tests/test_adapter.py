"""The contract of adapters, and a node that asks and archives what is answered."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from pacs_ai.api import (
    InferenceAdapter,
    InferenceResult,
    Inferences,
    RequestFilter,
    ResultState,
    ServiceConfig,
)
from pacs_ai.testing import InferenceAdapterContract
from pacs_core.association import Proposal, connect
from pacs_core.contracts import NodeSettings, Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import node_thread
from pacs_core.testing.operations import memory_node
from pacs_core.testing.waiting import until
from pydicom import dcmread
from pydicom.uid import generate_uid

from {{ cookiecutter.__package }} import Config, pacs_inference_adapters

NAME = "{{ cookiecutter.name }}"
PLUGINS = (
    NAME,
    "ai",
    "jobs",
    "database",
    "web",
    "dicomweb",
    "sop-storage",
    "store-filesystem",
    "index-sqlite",
)

ENDED = threading.Event()


class Service(BaseHTTPRequestHandler):
    """A service that infers an image from each; under ``/slow`` it does not end with it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            ENDED.wait(60)
        image = dcmread(BytesIO(body))
        image.SOPInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.Manufacturer, image.ManufacturerModelName = "ACME", "Finder"
        image.SoftwareVersions = "1.0"
        answer = BytesIO()
        image.save_as(answer)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer.getvalue())))
        self.end_headers()
        self.wfile.write(answer.getvalue())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        ENDED.set()
        server.shutdown()


class TestOneByOne(InferenceAdapterContract):
    def make(self, url: str) -> InferenceAdapter:
        (descriptor,) = pacs_inference_adapters(Setup(NodeSettings(), {Config: Config()}))
        return descriptor.create(memory_node(NodeSettings()), "acme", ServiceConfig(NAME, url=url))

    @pytest.fixture
    def adapter(self, url: str) -> InferenceAdapter:
        return self.make(url)

    @pytest.fixture
    def away(self) -> InferenceAdapter:
        return self.make("http://127.0.0.1:1/")

    @pytest.fixture
    def slow(self, url: str) -> InferenceAdapter:
        return self.make(f"{url}slow")

    @pytest.fixture
    def files(self, pacs_dataset: Callable[..., SampleDataset]) -> list[bytes]:
        images = [pacs_dataset("CT"), pacs_dataset("CT")]
        return [
            file_meta(each.sop_class_uid, each.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
            + each.encode()
            for each in images
        ]


def test_a_node_asks_and_archives_what_is_answered(
    tmp_path: Path, url: str, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    dataset, study = pacs_dataset("CT", StudyInstanceUID="1.2.3"), "1.2.3"

    async def store() -> int | None:
        async with connect(node.peer, [Proposal(dataset.sop_class_uid)]) as association:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
        return response.status

    tables = {"plugin": {"ai": {"services": {"acme": {"adapter": NAME, "url": url}}}}}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
        assert anyio.run(store) == 0x0000
        inferences = node.node.opened.node.find(Inferences)

        async def ask() -> int:
            return (await inferences.ask("acme", study))[0].number

        async def results() -> list[InferenceResult]:
            return [each async for each in inferences.results(RequestFilter(request=number), 9)]

        number = node.call(ask)
        until(lambda: node.call(results))
        (result,) = node.call(results)
        assert (result.state, result.reasons) == (ResultState.ARCHIVED, ())
        assert result.algorithm == "Finder 1.0 (ACME)"
