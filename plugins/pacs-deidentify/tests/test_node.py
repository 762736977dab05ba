"""The de-identifier of a node: for WADO-URI (PS3.18 §9.4.1.2), and for peers with a profile."""

import json
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from attrs import frozen
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt

from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.waiting import until

from .samples import CT, INSTANCE, SECRETS, SERIES, STUDY, make_instance

PLUGINS = (
    "web", "dicomweb", "store-filesystem", "index-sqlite", "audit-json", "sop-storage",
    "codec-basic", "image-export", "sop-query-retrieve", "deidentify",
)  # fmt: skip
MOVE, GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
BURNT_IN = f"{INSTANCE}.9"


@frozen
class Door:
    """A node that has two instances, and a client of it."""

    node: NodeThread
    client: httpx.Client

    def get(self, instance: str = INSTANCE, **more: str) -> httpx.Response:
        parameters = {
            "requestType": "WADO",
            "studyUID": STUDY,
            "seriesUID": SERIES,
            "objectUID": instance,
            "contentType": "application/dicom",
            "anonymize": "yes",
        }
        return self.client.get("/wado", params={**parameters, **more})


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Receiver:
    """A Storage SCP, and requestor of what it gets."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.ae = AE("RESEARCH")
        self.ae.add_supported_context(CT, ExplicitVRLittleEndian)
        for uid in (CT, MOVE, GET):
            self.ae.add_requested_context(uid, ExplicitVRLittleEndian)
        self.handlers = [(evt.EVT_C_STORE, self.store)]
        self.server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=self.handlers
        )
        self.port = self.server.socket.getsockname()[1]

    def store(self, event: evt.Event) -> int:
        assert event.request.AffectedSOPInstanceUID == event.dataset.SOPInstanceUID
        self.received.append(event.request.DataSet.getvalue())
        return 0

    def retrieve(self, port: int, service: str, destination: str) -> Dataset:
        """Retrieve the study; return the final response."""
        self.received.clear()
        keys = Dataset()
        keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", STUDY
        roles = [build_role(CT, scu_role=True, scp_role=True)]
        association = self.ae.associate(
            "127.0.0.1", port, ae_title="PACS", ext_neg=roles, evt_handlers=self.handlers
        )
        if service == GET:
            responses = association.send_c_get(keys, GET)
        else:
            responses = association.send_c_move(keys, destination, MOVE)
        *_, (final, _) = responses
        association.release()
        return final


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Door]:
    data = tmp_path_factory.mktemp("node") / "data"
    address = {"host": "127.0.0.1", "port": receiver.port}
    peers = {
        "research": {**address, "ae_title": "RESEARCH", "deidentify": "dates"},
        "clinic": {**address, "ae_title": "CLINIC"},
    }
    plugin = {
        "web": {"port": 0},
        "dicomweb": {},
        "deidentify": {"profiles": {"dates": {"options": ["retain-modified-dates"]}}},
    }
    tables = {"plugin": plugin, "peers": peers}
    with node_thread(data, tables, plugins=PLUGINS) as node:
        port = node.node.service_sockets["web"][0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/dicom-web"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            burnt_in = make_instance(SOPInstanceUID=BURNT_IN, BurnedInAnnotation="YES")
            for dataset in (make_instance(), burnt_in):
                head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
                kind = 'multipart/related; type="application/dicom"; boundary=b'
                body = head + encoded(dataset) + b"\r\n--b--\r\n"
                stored = client.post("/studies", content=body, headers={"Content-Type": kind})
                assert stored.status_code == 200, stored.text
            yield Door(node, client)


def test_anonymized_file(door: Door) -> None:
    response = door.get()
    assert response.status_code == 200, response.text
    made = dcmread(BytesIO(response.content))
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID != INSTANCE
    assert made.PatientIdentityRemoved == "YES"
    assert bytes(made.PixelData) == bytes(range(128))
    sent = response.content + json.dumps(dict(response.headers)).encode()
    assert [text for text in SECRETS if text.encode() in sent] == []
    again = dcmread(BytesIO(door.get().content))
    assert again == made
    until(lambda: not list(door.node.data_directory.rglob("work/*/*")))


def test_it_is_anonymized_in_another_transfer_syntax(door: Door) -> None:
    made = dcmread(BytesIO(door.get(transferSyntax="1.2.840.10008.1.2.5").content))
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    assert made.PatientIdentityRemoved == "YES"


def test_what_is_refused(door: Door) -> None:
    refused = door.get(BURNT_IN)
    assert (refused.status_code, "burnt in" in refused.text) == (409, True)
    assert door.get(BURNT_IN, anonymize="").status_code == 200
    assert door.get(contentType="image/png").status_code == 406
    assert door.get(anonymize="perhaps").status_code == 400
    assert door.get().status_code == 200


def test_it_is_audited(door: Door) -> None:
    door.get()
    trail = "".join(
        path.read_text() for path in door.node.data_directory.rglob("*") if "audit" in str(path)
        and path.is_file() and path.suffix in {".jsonl", ".json", ".log"}
    )  # fmt: skip
    assert '"anonymized": true' in trail or '"anonymized":true' in trail


@pytest.mark.parametrize("service", [MOVE, GET])
def test_a_peer_gets_nothing_but_what_is_de_identified(
    door: Door, receiver: Receiver, service: str
) -> None:
    """One of two instances goes out; the other has text burnt in (PS3.4 C.4.2, C.4.3)."""
    final = receiver.retrieve(door.node.port, service, "RESEARCH")
    counts = (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations)
    assert (final.Status, counts) == (0xB000, (1, 1))
    [content] = receiver.received
    assert [text for text in SECRETS if text.encode() in content] == []
    made = dcmread(BytesIO(content), force=True)
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    assert made.SOPInstanceUID == dcmread(BytesIO(door.get().content)).SOPInstanceUID
    assert bytes(made.PixelData) == bytes(range(128))
    until(lambda: not list(door.node.data_directory.rglob("work/*/*")))


def test_other_peers_get_what_is_stored(door: Door, receiver: Receiver) -> None:
    final = receiver.retrieve(door.node.port, MOVE, "CLINIC")
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 2)
    assert all(INSTANCE.encode() in content for content in receiver.received)


def test_without_a_de_identifier_nothing_goes_out(tmp_path, receiver: Receiver) -> None:
    peers = {
        "research": {
            "ae_title": "RESEARCH",
            "host": "127.0.0.1",
            "port": receiver.port,
            "deidentify": "basic",
        }
    }
    plugins = [name for name in PLUGINS if name not in {"web", "dicomweb", "deidentify"}]
    with node_thread(tmp_path / "data", {"peers": peers}, plugins=plugins) as node:
        association = receiver.ae.associate("127.0.0.1", node.port, ae_title="PACS")
        assert association.send_c_store(make_instance()).Status == 0x0000
        association.release()
        final = receiver.retrieve(node.port, MOVE, "RESEARCH")
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 1)
    assert receiver.received == []
