"""C-MOVE to a real peer: pynetdicom as Storage SCP (PS3.4 C.4.2)."""

import pytest
from attrs import evolve
from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers
from pynetdicom import AE, evt
from pynetdicom.sop_class import _STORAGE_CLASSES

from pacs_core.contracts import AuditKind, InstancePath, NodeSettings, Peer, Setup
from pacs_core.dataset import encode_attributes, parse_attributes, tag_of
from pacs_core.testing.operations import answer, memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
FAILED = tag_of("FailedSOPInstanceUIDList")
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}
ALL = ("1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1")


class Viewer:
    """A Storage SCP that keeps what it gets and answers as told."""

    def __init__(self, contexts):
        ae = AE("VIEWER")
        for uid, syntax in contexts:
            ae.add_supported_context(uid, syntax)
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_ACCEPTED, self.accepted)]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]
        self.reset()

    def reset(self):
        self.received = []
        self.associations = 0
        self.statuses = {}
        self.abort_at = None

    def accepted(self, event):
        self.associations += 1

    def store(self, event):
        self.received.append(event)
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid == self.abort_at:
            event.assoc.abort()
        return self.statuses.get(uid, 0x0000)

    @property
    def uids(self):
        return tuple(str(event.request.AffectedSOPInstanceUID) for event in self.received)


@pytest.fixture(scope="module")
def viewers():
    """One viewer for each choice of contexts: pynetdicom's servers take half a second to stop."""
    running = {}

    def viewer_with(contexts):
        key = tuple(contexts)
        if key not in running:
            running[key] = Viewer(contexts)
        running[key].reset()
        return running[key]

    yield viewer_with
    for viewer in running.values():
        viewer.server.shutdown()


@pytest.fixture
def contexts():
    return [(CT, EXPLICIT)]


@pytest.fixture
def viewer(viewers, contexts):
    return viewers(contexts)


@pytest.fixture
def port(viewer):
    return viewer.port


@pytest.fixture
def settings(port):
    return NodeSettings(peers={"viewer": Peer("VIEWER", "127.0.0.1", port)})


class TestContract(ServiceProviderContract):
    @pytest.fixture
    def node(self, filled_node):
        return filled_node

    @pytest.fixture
    def descriptor(self):
        # One pending response each, however long it takes.
        config = QueryRetrieveConfig(pending_interval=3600.0)
        setup = Setup(NodeSettings(), {QueryRetrieveConfig: config})
        return {d.name: d for d in pacs_service_providers(setup)}["C-MOVE"]

    @pytest.fixture
    def examples(self, request_of):
        operation = request_of("MOVE", **STUDY)
        return [Example(operation.command, operation.dataset.data, operation.association)]


async def test_instances_arrive_as_stored(provider, request_of, viewer, node):
    operation = request_of("MOVE", **STUDY)
    response = await answer(provider("MOVE", pending_interval=0.0), operation)
    assert (response.status, response.dataset) == (0x0000, None)
    assert (response.completed, response.failed, response.warning) == (3, 0, 0)
    assert [(p.remaining, p.completed) for p in operation.pending] == [(2, 1), (1, 2), (0, 3)]
    assert viewer.uids == ALL
    assert viewer.associations == 1
    stored = await node.archive.locate(InstancePath("1.2.1", ALL[0]))
    reader = await node.archive.open(stored)
    expected = await reader.read(stored.dataset_offset, 1 << 20)
    assert viewer.received[0].request.DataSet.getvalue() == expected


async def test_the_originator_and_priority_of_the_move_are_passed_on(provider, request_of, viewer):
    """PS3.7 §9.1.1.1: Move Originator AE Title and Message ID."""
    operation = request_of("MOVE", **STUDY)
    operation.command = evolve(operation.command, priority=1)
    await answer(provider("MOVE"), operation)
    for event in viewer.received:
        assert event.request.MoveOriginatorApplicationEntityTitle == "SCU"
        assert event.request.MoveOriginatorMessageID == 5
        assert event.request.Priority == 1
        assert event.assoc.requestor.ae_title == "PACS"


async def test_an_unknown_destination(provider, request_of, node):
    """PS3.4 Table C.4-2: A801H."""
    response = await answer(provider("MOVE"), request_of("MOVE", destination="NOWHERE", **STUDY))
    assert response.status == 0xA801
    assert "NOWHERE" in response.comment
    [event] = node.audit.events
    assert event.kind is AuditKind.C_MOVE
    assert event.details["destination"] == "NOWHERE"


@pytest.mark.parametrize("port", [1])
async def test_an_unreachable_destination(provider, request_of):
    """PS3.4 Table C.4-2: A702H, unable to perform sub-operations."""
    response = await answer(provider("MOVE"), request_of("MOVE", **STUDY))
    assert (response.status, response.failed) == (0xA702, 3)
    assert parse_attributes(response.dataset, EXPLICIT)[FAILED] == ALL
    assert "VIEWER" in response.comment


@pytest.mark.parametrize("contexts", [[(CT, IMPLICIT)]])
async def test_a_syntax_that_the_peer_does_not_accept_fails(provider, request_of, viewer):
    response = await answer(provider("MOVE"), request_of("MOVE", **STUDY))
    assert (response.status, response.failed) == (0xA702, 3)
    assert viewer.received == []


async def test_failures_and_warnings_are_counted_and_listed(provider, request_of, viewer):
    """PS3.4 C.4.2.1.4.2: Failed SOP Instance UID List."""
    viewer.statuses = {ALL[0]: 0xA700, ALL[2]: 0xB000}
    response = await answer(provider("MOVE"), request_of("MOVE", **STUDY))
    assert response.status == 0xB000
    assert (response.completed, response.failed, response.warning) == (1, 1, 1)
    assert parse_attributes(response.dataset, EXPLICIT)[FAILED] == ALL[:1]


async def test_a_peer_that_aborts_midway_fails_the_rest(provider, request_of, viewer):
    viewer.abort_at = ALL[1]
    response = await answer(provider("MOVE"), request_of("MOVE", **STUDY))
    assert response.status == 0xB000
    assert (response.completed, response.failed) == (1, 2)
    assert parse_attributes(response.dataset, EXPLICIT)[FAILED] == ALL[1:]
    assert response.comment


async def test_c_cancel_stops_between_sub_operations(provider, request_of, viewer):
    """PS3.4 C.4.2.3.1: FE00H."""
    operation = request_of("MOVE", cancel_after=1, **STUDY)
    response = await answer(provider("MOVE"), operation)
    assert (response.status, response.remaining, response.completed) == (0xFE00, 2, 1)
    assert viewer.uids == ALL[:1]


class TestManyForms:
    """More SOP classes than one association has presentation contexts (PS3.8 §7.1.1.13)."""

    COUNT = 130

    @pytest.fixture
    def contexts(self):
        return [(uid, EXPLICIT) for uid in sorted(_STORAGE_CLASSES.values())[: self.COUNT]]

    @pytest.fixture
    def node(self, settings, contexts, instances, attributes):
        one_of_each = [
            {**instances[0], **attributes(SOPClassUID=uid, SOPInstanceUID=f"1.2.1.1.{number}")}
            for number, (uid, _syntax) in enumerate(contexts)
        ]
        datasets = [encode_attributes(each, EXPLICIT) for each in one_of_each]
        return memory_node(settings, datasets)

    async def test_take_another_association(self, provider, request_of, viewer):
        response = await answer(provider("MOVE"), request_of("MOVE", **STUDY))
        assert (response.status, response.completed) == (0x0000, self.COUNT)
        assert viewer.associations == 2
        assert len(set(viewer.uids)) == self.COUNT
