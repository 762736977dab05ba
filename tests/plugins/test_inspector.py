"""The inspector that the kernel provides: addresses, keys, plugins, queues and warnings."""

import time

import pytest
from importlib_metadata import EntryPoint

from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessDeniedError,
    AccessDescriptor,
    Authorizer,
    Deny,
    EventHandler,
    EventHandlerDescriptor,
    NodeInspector,
    Origin,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.plugins import hookimpl

ARCHIVE = ("store-filesystem", "index-sqlite", "sop-storage", "audit-json")


class Deaf(EventHandler):
    async def handle(self, event):
        raise RuntimeError("it hears nothing")


@hookimpl
def pacs_event_handlers(setup):
    return [EventHandlerDescriptor("deaf", lambda node: Deaf())]


class Closed(Authorizer):
    async def authorize(self, access):
        return Deny("nobody") if access.action == "node.inspect" else None


@hookimpl
def pacs_access(setup):
    return [AccessDescriptor("closed", authorizer=lambda node: Closed())]


HERE = EntryPoint("deaf", __name__, "pacs_core.plugins")
ORIGIN = Origin("test")


@pytest.fixture
def node(pacs_node):
    return pacs_node({"log": {"level": "error"}}, plugins=[*ARCHIVE, HERE])


def test_it_knows_the_port_that_was_taken(node):
    inspector = node.node.opened.node.find(NodeInspector)
    assert list(inspector.addresses) == [f"127.0.0.1:{node.port}"]
    values = {each.path: each.value for each in inspector.configuration()}
    assert values["node.port"] == "0"
    assert values["plugin.audit-json.fsync"] == "false"


def test_it_knows_plugins_queues_and_what_was_lost(node, pacs_dataset):
    inspector = node.node.opened.node.find(NodeInspector)
    assert {each.name for each in inspector.plugins()} == {*ARCHIVE, "deaf"}
    queues = {each.name: each for each in node.call(inspector.queues)}
    assert {each.kind for each in queues.values()} == {"write-behind", "audit", "events"}
    assert queues["deaf"].lost == 0
    assert node.call(inspector.warnings) == []
    dataset = pacs_dataset("CT")

    async def pieces():
        yield dataset.encode()

    async def ingest():
        await node.node.opened.archive.ingest(
            pieces(),
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            sop_class_uid=dataset.sop_class_uid,
            sop_instance_uid=dataset.sop_instance_uid,
            origin=ORIGIN,
        )

    node.call(ingest)
    deadline = time.monotonic() + 60
    while not (found := node.call(inspector.warnings)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found[0].startswith("deaf: ")


def test_the_guard_asks_under_any_action(node):
    guard = node.node.opened.node.access
    with pytest.raises(AccessDeniedError, match="nobody"):
        node.call(guard.require, Access("node.inspect", ORIGIN))
    with pytest.raises(AccessDeniedError, match="no verdict"):
        node.call(guard.require, Access(AccessAction.QUERY, ORIGIN))
