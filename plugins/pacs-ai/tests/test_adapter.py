"""The contract of adapters, for each of the four."""

import json
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pacs_ai.adapters.dicomweb_pull import DicomWebPull
from pacs_ai.adapters.dimse import Dimse
from pacs_ai.adapters.frames import frame_parts
from pacs_ai.adapters.rest_push import RestPush
from pacs_ai.adapters.ups import ProcedureSteps
from pacs_ai.api import Answer, InferenceAdapter, InferenceResult, ServiceConfig
from pacs_ai.config import AiConfig, RuleConfig
from pacs_ai.desk import AiDesk
from pacs_ai.testing import InferenceAdapterContract, MemoryInputs
from pacs_ai.testing.adapter_contract import MemoryResults, make_request
from pacs_ai_example.frames import read_frames
from pacs_ai_example.http_service import make_server
from pacs_ai_example.multipart import read_parts
from pacs_ai_example.results import write
from pacs_ai_example.samples import make_series
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_ups.api import UnifiedProcedureSteps
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.database_steps import DatabaseProcedureSteps
from pacs_web.api.multipart_writing import write_multipart
from pydicom import dcmread
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt

from pacs_core.contracts import Node, NodeSettings, Peer, Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, read_file_meta
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import memory_node

NOBODY = "http://127.0.0.1:1/"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The example, which infers from what it is sent."""
    with make_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/infer"
        server.shutdown()


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Tell services that do not end with a request that the test has ended."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def service(ended: threading.Event) -> Iterator[str]:
    """A service that takes requests, and answers 202, or under ``/slow`` not at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/slow":
                ended.wait(60)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        ended.set()
        server.shutdown()


@pytest.fixture
def entities(ended: threading.Event) -> Iterator[dict[str, Peer]]:
    """Application entities: one takes instances, one takes its time, one is not there."""

    def store(event: Any) -> int:
        if event.assoc.acceptor.ae_title == "SLOW":
            ended.wait(60)
        return 0x0000

    peers, servers = {"away": Peer("AWAY", "127.0.0.1", 1)}, []
    for name in ("taking", "slow"):
        entity = AE(name.upper())
        entity.add_supported_context(CTImageStorage)
        handlers: list[Any] = [(evt.EVT_C_STORE, store)]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        peers[name] = Peer(name.upper(), "127.0.0.1", server.server_address[1])
        servers.append(server)
    yield peers
    ended.set()
    for server in servers:
        server.shutdown()


@pytest.fixture
async def node(
    tmp_path: Path, entities: dict[str, Peer], anyio_backend: Any
) -> AsyncIterator[Node]:
    async with open_database(tmp_path) as database:
        node = memory_node(NodeSettings(peers=entities))
        node.capabilities.provide(Database, database)
        queue = DatabaseJobQueue(database)
        node.capabilities.provide(JobQueue, queue)
        await queue.start()
        config = UpsConfig()
        steps = DatabaseProcedureSteps(
            database, queue, config, settings=lambda: node.settings, archive=node.archive
        )
        node.capabilities.provide(UnifiedProcedureSteps, steps)
        await steps.start()
        own = AiConfig(dicomweb_url="http://127.0.0.1:1/dicom-web")
        setup = Setup(NodeSettings(data_directory=tmp_path), {AiConfig: own})
        desk = AiDesk(node, setup)
        node.capabilities.provide(AiDesk, desk)
        await desk.start()
        yield node


@pytest.mark.anyio
async def test_a_rule_about_what_the_index_does_not_keep_is_refused(
    node: Node, tmp_path: Path
) -> None:
    """It is said when the node starts, and not whenever a study is complete."""
    services = {"s": ServiceConfig("rest-push")}
    for key, value in (("SliceThickness", "8"), ("Modality", "CT")):
        config = AiConfig(services, (RuleConfig("s", unless={key: value}),))
        setup = Setup(NodeSettings(data_directory=tmp_path), {AiConfig: config})
        desk = AiDesk(node, setup)
        if key == "Modality":
            await desk.start()
            continue
        with pytest.raises(ValueError, match=r"unless\.SliceThickness: the index does not keep"):
            await desk.start()


class ExampleContract(InferenceAdapterContract):
    """The images of the example, which are in the node's archive as well."""

    @pytest.fixture
    def files(self) -> list[bytes]:
        return [write(each) for each in make_series()]

    @pytest.fixture
    def inputs(self, files: list[bytes], node: Node) -> MemoryInputs:
        archive = node.archive
        assert isinstance(archive, MemoryArchive)
        datasets = [each[read_file_meta(each).dataset_offset :] for each in files]
        return MemoryInputs(
            files, [archive.put(each, EXPLICIT_VR_LITTLE_ENDIAN) for each in datasets]
        )


class TestRestPush(ExampleContract):
    own: dict[str, Any] = {}

    @pytest.fixture
    def make(self, node: Node) -> Callable[[str], InferenceAdapter]:
        def make(url: str) -> InferenceAdapter:
            return RestPush(node, "lesion", ServiceConfig("rest-push", url=url, **self.own))

        return make

    @pytest.fixture
    def adapter(self, make: Callable[[str], InferenceAdapter], url: str) -> InferenceAdapter:
        return make(url)

    @pytest.fixture
    def away(self, make: Callable[[str], InferenceAdapter]) -> InferenceAdapter:
        return make(NOBODY)

    @pytest.fixture
    def slow(self, make: Callable[[str], InferenceAdapter], service: str) -> InferenceAdapter:
        return make(f"{service}/slow")

    async def test_an_answer_is_kept_whole_until_results_are_made_of_it(
        self,
        make: Callable[[str], InferenceAdapter],
        url: str,
        inputs: MemoryInputs,
        files: list[bytes],
    ) -> None:
        """Who was killed after the first result goes on with the rest, and asks nobody."""

        class Killed(MemoryResults):
            async def take(self, content: AsyncIterable[bytes]) -> InferenceResult:
                if self.taken:
                    raise RuntimeError("killed")
                return await super().take(content)

        asked, before, after = make_request(files), Killed(), MemoryResults()
        with pytest.raises(RuntimeError, match="killed"):
            await make(url).ask(asked, inputs, before)
        assert await make(NOBODY).ask(asked, inputs, after) is Answer.COMPLETE
        assert after.taken[:1] == before.taken
        assert len(after.taken) == 2


class TestRestPushOfFrames(TestRestPush):
    own: dict[str, Any] = {"send": "frames"}

    async def test_metadata_come_first_and_then_each_frame(
        self, node: Node, inputs: MemoryInputs, files: list[bytes]
    ) -> None:
        """Of images of several frames, of such without pixels, and in pieces as they are read."""
        archive = node.archive
        assert isinstance(archive, MemoryArchive)
        frames, report = make_series(2)
        frames.NumberOfFrames, frames.PixelData = 2, bytes(2048) + bytes([1, 0]) * 1024
        del report.PixelData
        for each in (frames, report):
            data = write(each)[read_file_meta(write(each)).dataset_offset :]
            inputs.instances = [*inputs.instances, archive.put(data, EXPLICIT_VR_LITTLE_ENDIAN)]
        body = b"".join(
            [
                bytes(piece)
                async for piece in write_multipart(
                    frame_parts(node, inputs.instances, "http://pacs/dicom-web"), "x"
                )
            ]
        )
        first, *others = read_parts('multipart/related; boundary="x"', body)
        metadata = json.loads(first)
        assert len(metadata) == len(files) + 2
        place = f"/instances/{frames.SOPInstanceUID}"
        assert metadata[-2]["7FE00010"]["BulkDataURI"].endswith(f"{place}/bulkdata/7FE00010")
        pixels = [dcmread(BytesIO(each)).PixelData for each in files]
        assert others == [*pixels, frames.PixelData[:2048], frames.PixelData[2048:]]
        assert f"http://pacs/dicom-web/studies/{frames.StudyInstanceUID}".encode() in body
        assert f"{place}/frames/2\r\n".encode() in body
        again = [dcmread(BytesIO(e)) for e in read_frames('multipart/related; boundary="x"', body)]
        assert again[-2].PixelData == frames.PixelData
        assert [each.PixelData for each in again[:-2]] == pixels


class TestDicomWebPull(ExampleContract):
    def make(self, node: Node, url: str) -> InferenceAdapter:
        return DicomWebPull(node, "lesion", ServiceConfig("dicomweb-pull", url=url))

    @pytest.fixture
    def adapter(self, node: Node, service: str) -> InferenceAdapter:
        return self.make(node, f"{service}/")

    @pytest.fixture
    def away(self, node: Node) -> InferenceAdapter:
        return self.make(node, NOBODY)

    @pytest.fixture
    def slow(self, node: Node, service: str) -> InferenceAdapter:
        return self.make(node, f"{service}/slow")


class TestDimse(ExampleContract):
    def make(self, node: Node, peer: str) -> InferenceAdapter:
        return Dimse(node, "lesion", ServiceConfig("dimse", peer=peer))

    @pytest.fixture
    def adapter(self, node: Node) -> InferenceAdapter:
        return self.make(node, "taking")

    @pytest.fixture
    def away(self, node: Node) -> InferenceAdapter:
        return self.make(node, "away")

    @pytest.fixture
    def slow(self, node: Node) -> InferenceAdapter:
        return self.make(node, "slow")


class TestProcedureSteps(ExampleContract):
    @pytest.fixture
    def adapter(self, node: Node) -> InferenceAdapter:
        code = ("LESION", "99TEST", "Find lesions")
        return ProcedureSteps(node, "lesion", ServiceConfig("ups", code=code))

    @pytest.fixture
    def away(self) -> None:
        return None

    @pytest.fixture
    def slow(self) -> None:
        return None
