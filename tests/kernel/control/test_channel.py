"""The control channel in one process: addresses, users, slow callers, contract suite."""

import socket
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import anyio
import pytest
from attrs import frozen
from hypothesis import given, strategies as st

from pacs_core.app.control import server
from pacs_core.app.control.messages import check_operation, structure, unstructure
from pacs_core.app.control.sockets import bind_control_socket, connect_socket, control_sockets
from pacs_core.contracts import (
    AuditKind,
    ControlDescriptor,
    ControlError,
    ControlHandler,
    ControlOperation,
    EventAction,
    NodeNotRunningError,
    Outcome,
    StorageFullError,
    WorkerInfo,
)
from pacs_core.testing.control_contract import ControlContract, serve_control
from pacs_core.testing.operations import MemoryAuditTrail

pytestmark = pytest.mark.anyio


class Colour(Enum):
    RED = "red"


@frozen
class Inner:
    moment: datetime
    path: Path


@frozen
class Request:
    number: int = 3
    size: int = 1


@frozen
class Everything:
    text: str
    raw: bytes
    colour: Colour
    several: tuple[Inner, ...]
    by_name: dict[str, float]
    perhaps: int | None = None


INNER = Inner(datetime(2024, 2, 29, tzinfo=UTC), Path("/x"))
EVERYTHING = Everything("ä\n山", b"\0\xff", Colour.RED, (INNER,), {"a": 0.5})
ASK = ControlOperation("test.ask", Request, Everything)
ASK_ALL = ControlOperation("test.ask", Request, Everything, workers="all")


class Handler(ControlHandler[Request, Everything]):
    """Answers a number of times."""

    def __init__(self, node=None):
        self.running = 0
        self.origins = []

    async def handle(self, request, origin):
        self.running += 1
        self.origins.append(origin)
        try:
            for _ in range(request.number):
                yield Everything("x" * request.size, b"", Colour.RED, (), {})
                await anyio.lowlevel.checkpoint()
        finally:
            self.running -= 1


def descriptor_of(handler):
    return {ControlDescriptor(ASK, lambda node: handler): handler}


async def values(connection, operation=ASK, request=Request()):
    return [(r.worker, r.value) async for r in connection.call(operation, request)]


class TestHandler(ControlContract):
    request = Request(number=5)

    @pytest.fixture
    def descriptor(self):
        return ControlDescriptor(ASK, Handler)


def test_values_come_back_as_they_were():
    raw = unstructure(EVERYTHING, Everything)
    assert structure(raw, Everything) == EVERYTHING


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_is_sent_is_a_value_or_refused(raw):
    try:
        found = structure(raw, Everything)
    except ControlError:
        return
    assert isinstance(found, Everything)


@pytest.mark.parametrize("schema", [str, Request(), "Request", None])
def test_an_operation_that_cannot_be_sent_is_found(schema):
    with pytest.raises(TypeError, match=r"test.odd"):
        check_operation(ControlOperation("test.odd", schema, Everything))


async def test_a_response_of_another_class_is_an_internal_error(tmp_path, caplog):
    class Wrong(Handler):
        async def handle(self, request, origin):
            yield "text"

    async with serve_control(tmp_path, descriptor_of(Wrong())) as connection:
        with pytest.raises(ControlError, match="internal error") as failed:
            await values(connection)
        assert failed.value.status == 500
    assert "'text' is no Everything" in caplog.text


async def test_an_error_of_the_table_keeps_its_status(tmp_path):
    class Full(Handler):
        async def handle(self, request, origin):
            raise StorageFullError("no room")
            yield

    async with serve_control(tmp_path, descriptor_of(Full())) as connection:
        with pytest.raises(ControlError, match="no room") as failed:
            await values(connection)
        assert failed.value.status == 507


async def test_the_user_of_the_operating_system_is_the_principal(tmp_path):
    handler = Handler()
    async with serve_control(tmp_path, descriptor_of(handler)) as connection:
        await values(connection)
    (origin,) = handler.origins
    assert (origin.interface, origin.principal.method) == ("control", "local")
    assert origin.user


async def test_another_user_is_turned_away(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(server, "peer_user", lambda _: 12345)
    audit = MemoryAuditTrail()
    async with serve_control(tmp_path, descriptor_of(Handler()), audit=audit) as connection:
        with pytest.raises(NodeNotRunningError):
            await values(connection)
    assert "user 12345 may not control this node" in caplog.text
    (event,) = audit.events
    assert (event.outcome, event.origin.user) == (Outcome.FAILURE, "12345")


async def test_what_cannot_be_recorded_is_not_done(tmp_path):
    audit, handler = MemoryAuditTrail(), Handler()
    audit.failing = True
    async with serve_control(tmp_path, descriptor_of(handler), audit=audit) as connection:
        with pytest.raises(ControlError, match="Cannot be audited") as refused:
            await values(connection)
    assert refused.value.status == 503
    assert handler.origins == []


async def test_what_only_looks_is_not_recorded(tmp_path):
    audit, handler = MemoryAuditTrail(), Handler()
    for audited in (True, False):
        described = {ControlDescriptor(ASK, lambda node: handler, audited=audited): handler}
        async with serve_control(tmp_path, described, audit=audit) as connection:
            await values(connection)
    (event,) = audit.events
    assert (event.kind, event.action) == (AuditKind.CONTROL, EventAction.EXECUTE)
    assert event.details == {"operation": "test.ask", "worker": 0}


async def test_a_long_path_is_no_obstacle(tmp_path):
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    async with serve_control(folder, descriptor_of(Handler())) as connection:
        assert len(await values(connection)) == 3
    assert control_sockets(folder) == []


async def test_every_process_is_asked_and_one_that_is_missing_is_named(tmp_path):
    async with (
        serve_control(tmp_path, descriptor_of(Handler()), WorkerInfo(0, 3)),
        serve_control(tmp_path, descriptor_of(Handler()), WorkerInfo(2, 3)) as connection,
    ):
        assert {worker for worker, _ in await values(connection)} == {0}
        found = []

        async def collect():
            async for response in connection.call(ASK_ALL, Request(2)):
                found.append(response.worker)  # noqa: PERF401 what comes before the error

        with pytest.raises(ControlError, match="worker 1 does not answer"):
            await collect()
        assert sorted(found) == [0, 0, 2, 2]


async def test_a_generator_is_closed_when_the_caller_leaves(tmp_path):
    handlers = [Handler(), Handler()]
    async with (
        serve_control(tmp_path, descriptor_of(handlers[0]), WorkerInfo(0, 2)),
        serve_control(tmp_path, descriptor_of(handlers[1]), WorkerInfo(1, 2)) as connection,
    ):
        responses = connection.call(ASK_ALL, Request(10**9))
        await anext(responses)
        assert all(handler.running for handler in handlers)
        await responses.aclose()
        with anyio.fail_after(60):
            while any(handler.running for handler in handlers):  # noqa: ASYNC110
                await anyio.sleep(0.01)


async def test_a_caller_that_takes_nothing_is_given_up(tmp_path, caplog):
    handler = Handler()
    async with serve_control(tmp_path, descriptor_of(handler), patience=0.2) as connection:
        responses = connection.call(ASK, Request(10**9, 100_000))
        await anext(responses)  # and no more: the socket's buffers fill
        with anyio.fail_after(60):
            while handler.running:  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await responses.aclose()
        assert len(await values(connection)) == 3
    assert "a caller on the control channel was too slow" in caplog.text


async def test_a_caller_that_says_nothing_is_given_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    async with serve_control(tmp_path, descriptor_of(Handler())):
        with connect_socket(control_sockets(tmp_path)[0]) as silent:
            silent.settimeout(20)
            read = await anyio.to_thread.run_sync(lambda: silent.makefile("rb").read())
            assert read.startswith(b'{"pacs":1')
    assert "too slow" in caplog.text


async def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path):
    (tmp_path / "control").write_text("in the way")
    with pytest.raises(OSError, match="control"):
        bind_control_socket(tmp_path)


def test_what_lives_is_not_taken_for_a_leftover(tmp_path):
    first, path = bind_control_socket(tmp_path)
    dead, left = bind_control_socket(tmp_path)
    dead.close()
    with first:
        second, _ = bind_control_socket(tmp_path)
        second.close()
        assert path in control_sockets(tmp_path)
        assert left not in control_sockets(tmp_path)


def test_a_platform_without_such_sockets_is_told(tmp_path, monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")
    with pytest.raises(OSError, match="this platform has no local sockets"):
        bind_control_socket(tmp_path)
