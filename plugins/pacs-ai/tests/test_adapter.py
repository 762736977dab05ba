"""The contract of adapters, for the one that sends instances over HTTP."""

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pacs_ai.adapters.rest_push import RestPush
from pacs_ai.api import InferenceAdapter, ServiceConfig
from pacs_ai.config import AiConfig, RuleConfig
from pacs_ai.desk import AiDesk
from pacs_ai.testing import InferenceAdapterContract
from pacs_ai_example.http_service import make_server
from pacs_ai_example.results import write
from pacs_ai_example.samples import make_series
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue

from pacs_core.contracts import Node, NodeSettings, Setup
from pacs_core.testing.operations import memory_node


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with make_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/infer"
        server.shutdown()


@pytest.fixture
async def node(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Node]:
    async with open_database(tmp_path) as database:
        node = memory_node(NodeSettings())
        node.capabilities.provide(Database, database)
        node.capabilities.provide(JobQueue, DatabaseJobQueue(database))
        setup = Setup(NodeSettings(data_directory=tmp_path), {AiConfig: AiConfig()})
        node.capabilities.provide(AiDesk, AiDesk(node, setup))
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


class TestRestPush(InferenceAdapterContract):
    @pytest.fixture
    def adapter(self, node: Node, url: str) -> InferenceAdapter:
        return RestPush(node, "lesion", ServiceConfig("rest-push", url=url))

    @pytest.fixture
    def away(self, node: Node) -> InferenceAdapter:
        return RestPush(node, "lesion", ServiceConfig("rest-push", url="http://127.0.0.1:1/"))

    @pytest.fixture
    def files(self) -> list[bytes]:
        return [write(each) for each in make_series()]
