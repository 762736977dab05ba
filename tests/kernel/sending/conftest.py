"""A peer that keeps what it gets, and tells how its associations ended."""

import threading

import pytest
from pynetdicom import AE, evt

from pacs_core.contracts import NodeSettings, Peer
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.operations import memory_node

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


class StoragePeer:
    """Answers C-STORE as told; waits at one of the instances if told so."""

    def __init__(self):
        ae = AE("VIEWER")
        for uid in (CT, MR, "1.2.840.10008.1.1"):
            ae.add_supported_context(uid, EXPLICIT)
        handlers = [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_ACCEPTED, lambda event: self.accepted.append(event.assoc)),
            (evt.EVT_RELEASED, lambda event: self.ended.append("released")),
            (evt.EVT_ABORTED, lambda event: self.ended.append("aborted")),
            (evt.EVT_CONN_CLOSE, lambda event: self.closed.release()),
        ]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]
        self.reset()

    def reset(self):
        self.received, self.accepted, self.ended = [], [], []
        self.closed = threading.Semaphore(0)
        self.statuses = {}
        self.abort_at = self.wait_at = None
        self.waiting, self.go = threading.Event(), threading.Event()

    def store(self, event):
        uid = str(event.request.AffectedSOPInstanceUID)
        self.received.append(uid)
        if uid == self.abort_at:
            event.assoc.abort()
        if uid == self.wait_at:
            self.waiting.set()
            self.go.wait(20)
        return self.statuses.get(uid, 0x0000)


@pytest.fixture(scope="session")
def running_peer():
    peer = StoragePeer()
    yield peer
    peer.server.shutdown()


@pytest.fixture
def storage_peer(running_peer):
    running_peer.reset()
    return running_peer


@pytest.fixture
def peer(storage_peer):
    return Peer("VIEWER", "127.0.0.1", storage_peer.port)


def dataset(number, sop_class=CT):
    values = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": f"1.2.1.{number}",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.9",
        "PatientID": "P1",
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


@pytest.fixture
def node():
    """Holds ten CT instances and one MR instance, of one study."""
    datasets = [dataset(number) for number in range(10)] + [dataset(10, MR)]
    return memory_node(NodeSettings(ae_title="SENDER"), datasets)
