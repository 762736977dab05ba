"""Permissions for what is no use of the archive: who may not, is told so and nothing else."""

import pytest
from attrs import evolve
from pacs_web.testing import serve_routes
from pacs_web_ui import WebUiConfig, pacs_web_routes

from pacs_core.contracts import (
    NodeSettings,
    Peer,
    Setup,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.operations import MemoryAccessGuard, memory_node

pytestmark = pytest.mark.anyio

_, PAGES, _, API, *_ = pacs_web_routes(Setup(NodeSettings(), {WebUiConfig: WebUiConfig()}))
CT_ONLY = (SingleValue(tag_of("Modality"), "CT"),)
WARD = Peer("WARD", "127.0.0.1", 1, "ward")


def node_with(guard: MemoryAccessGuard):
    return evolve(memory_node(NodeSettings(peers={"ward": WARD})), access=guard)


@pytest.mark.parametrize(
    ("descriptor", "path", "action", "destination"),
    [
        (PAGES, "/ui/node", "node.inspect", ""),
        (PAGES, "/ui/node/configuration", "node.inspect", ""),
        (PAGES, "/ui/query?peer=ward", "peers.query", ""),
        (PAGES, "/ui/studies/1.2.3/history", "audit.read", ""),
        (API, "/api/node/status", "node.inspect", ""),
        (API, "/api/node/configuration", "node.inspect", ""),
        (API, "/api/peers/ward/studies", "peers.query", "WARD"),
        (API, "POST /api/peers/ward/echo", "peers.query", "WARD"),
        (API, "POST /api/peers/ward/retrieve?study=1.2.3", "peers.retrieve", "WARD"),
    ],
)
async def test_who_may_not_is_told_so(descriptor, path, action, destination) -> None:
    method, _, path = path.rpartition(" ")
    for guard in (MemoryAccessGuard(action), MemoryAccessGuard(restrictions=CT_ONLY)):
        async with serve_routes(descriptor, node_with(guard)) as server:
            response = await server.client.request(method or "GET", path)
        assert response.status_code == 403
        assert (action, destination) in [(e.action, e.what.destination) for e in guard.asked]
        assert ("not you" if guard.denied else "all instances") in response.text
        kind = "text/html" if descriptor is PAGES else "application/problem+json"
        assert response.headers["content-type"].startswith(kind)
