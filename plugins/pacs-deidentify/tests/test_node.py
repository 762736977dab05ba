"""The de-identifier of a node, as WADO-URI asks for it with ``anonymize=yes`` (PS3.18 §9.4.1.2)."""

import json
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from attrs import frozen
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.testing.node import NodeThread, node_thread
from pacs_core.testing.waiting import until

from .samples import INSTANCE, SECRETS, SERIES, STUDY, make_instance

PLUGINS = (
    "web", "dicomweb", "store-filesystem", "index-sqlite", "audit-json", "sop-storage",
    "codec-basic", "image-export", "deidentify",
)  # fmt: skip
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


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    data = tmp_path_factory.mktemp("node") / "data"
    tables = {"plugin": {"web": {"port": 0}, "dicomweb": {}}}
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
