"""Health over HTTP: everybody hears whether the node is ready, only some hear why not."""

import threading
import time

import anyio
import httpx
import pytest
from importlib_metadata import EntryPoint

from pacs_core.contracts import AccessDescriptor, Allow, Authorizer, Deny
from pacs_core.plugins import hookimpl

ARCHIVE = ("store-filesystem", "index-sqlite", "sop-storage", "audit-json", "web")
PATIENCE = 60.0


class NoInspection(Authorizer):
    allowed = True

    async def authorize(self, access):
        is_kept = access.action == "node.inspect" and not NoInspection.allowed
        return Deny("not you") if is_kept else Allow()


@hookimpl
def pacs_access(setup):
    return [AccessDescriptor("no-inspection", authorizer=lambda node: NoInspection())]


@pytest.fixture
def node(pacs_node):
    here = EntryPoint("no-inspection", __name__, "pacs_core.plugins")
    return pacs_node({}, plugins=[*ARCHIVE, here])


@pytest.fixture
def client(node):
    (sockets,) = node.node.service_sockets.values()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield client


def wait_for(client, status):
    deadline = time.monotonic() + PATIENCE
    while (answer := client.get("/health/ready")).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


def test_a_store_that_is_gone_shows_and_only_some_hear_where_it_was(node, client):
    assert client.get("/health/ready").json() == {"status": "pass"}
    details = client.get("/health/details").json()
    assert details["status"] == "pass"
    assert details["checks"].keys() == {"store", "index", "room"}

    (root,) = node.node.opened.store.directories
    root.rename(root.with_name("elsewhere"))
    answer = wait_for(client, 503)
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json() == {"status": "fail", "output": "a part of the node does not work"}
    assert client.get("/health/live").status_code == 200
    details = client.get("/health/details")
    assert (details.status_code, details.json()["status"]) == (503, "fail")
    (store,) = details.json()["checks"]["store"]
    assert store["status"] == "fail"
    assert str(root) in store["output"]
    NoInspection.allowed = False
    try:
        refused = client.get("/health/details")
    finally:
        NoInspection.allowed = True
    assert refused.status_code == 403
    assert str(root) not in refused.text

    root.with_name("elsewhere").rename(root)
    wait_for(client, 200)


def test_a_store_that_hangs_is_named_and_nothing_waits_for_it_again(node, client, monkeypatch):
    """As a mount does whose server is gone: in a thread that nobody can cancel."""
    store, asked, back = node.node.opened.store, [], threading.Event()
    opens = type(store).open

    async def hang(self, key):
        asked.append(key)
        await anyio.to_thread.run_sync(back.wait)
        return await opens(self, key)

    monkeypatch.setattr(type(store), "open", hang)
    wait_for(client, 503)
    details = client.get("/health/details").json()
    problems = {name: each[0].get("output", "") for name, each in details["checks"].items()}
    assert problems == {"store": "no answer within 2 s", "index": "", "room": ""}
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert len(asked) == 1
    back.set()
    wait_for(client, 200)
