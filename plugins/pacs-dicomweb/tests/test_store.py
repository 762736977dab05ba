"""STOW-RS over the wire (PS3.18 §10.5)."""

import gzip
import io
import socket
import time

import pydicom
import pytest

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    ModelOptions,
    ReadLimits,
    file_meta,
    read_elements,
)
from pacs_core.dataset.json_model import write_json
from pacs_core.dataset.xml_model import write_xml
from pacs_core.testing.datasets import SampleStudy

DICOM = 'multipart/related; type="application/dicom"; boundary=b'
REFERENCED, FAILED, OTHER = "00081199", "00081198", "0008119A"


@pytest.fixture
def study():
    return SampleStudy()


def post(web, content, content_type=DICOM, path="/studies", **headers):
    return web.client.post(path, content=content, headers={"Content-Type": content_type, **headers})


def reasons(response, sequence=FAILED):
    return [
        item["00081197"]["Value"][0] for item in response.json().get(sequence, {}).get("Value", [])
    ]


def test_stored(shared, study):
    ct, mr = study.make("CT"), study.make("MR")
    response = shared.store(ct, mr)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    answer = response.json()
    url = f"{shared.url}/studies/{study.study_instance_uid}"
    assert answer["00081190"]["Value"] == [url]
    items = answer[REFERENCED]["Value"]
    assert [item["00081155"]["Value"][0] for item in items] == [
        ct.sop_instance_uid,
        mr.sop_instance_uid,
    ]
    assert items[0]["00081150"]["Value"] == [ct.sop_class_uid]
    series = ct.values["SeriesInstanceUID"]
    assert items[0]["00081190"]["Value"] == [
        f"{url}/series/{series}/instances/{ct.sop_instance_uid}"
    ]
    assert FAILED not in answer
    assert shared.client.get(items[0]["00081190"]["Value"][0]).status_code == 200


def test_stored_byte_for_byte(shared, study, wire):
    ct = study.make("CT")
    shared.store(wire.part10(ct))
    found = shared.found(f"/instances?SOPInstanceUID={ct.sop_instance_uid}")
    response = shared.client.get(
        found[0]["00081190"]["Value"][0], headers={"Accept": "application/dicom"}
    )
    assert response.content.endswith(ct.encode())


def test_single_file(shared, study, wire):
    response = post(shared, wire.part10(study.make("CT")), "application/dicom")
    assert response.status_code == 200


def test_xml_answer(shared, study, wire):
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    response = post(shared, body, Accept="application/dicom+xml")
    assert response.headers["content-type"] == "application/dicom+xml"
    assert b'keyword="ReferencedSOPSequence"' in response.content


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary="b"',
        "multipart/related; type=application/dicom; boundary=b",
        "Multipart/Related; Boundary=b; Type=application/dicom; start=x",
        "multipart/related; boundary=b",
    ],
)
def test_ways_to_say_it(shared, study, wire, content_type):
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    assert post(shared, body, content_type).status_code == 200


def test_preamble_and_epilogue(shared, study, wire):
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    body = b"This is a message in MIME.\r\n" + body + b"and this is its end\r\n"
    assert post(shared, body).status_code == 200


def test_chunked_and_compressed(shared, study, wire):
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    response = post(shared, (body[at : at + 100] for at in range(0, len(body), 100)))
    assert response.status_code == 200
    body = wire.multipart(("application/dicom", wire.part10(study.make("MR"))))
    response = post(shared, gzip.compress(body), **{"Content-Encoding": "gzip"})
    assert response.status_code == 200
    # Not announced, it is no multipart body.
    assert post(shared, gzip.compress(body)).status_code == 400


def test_mixed(shared, study):
    good, other = study.make("CT"), study.make("MR")
    response = shared.store(good, b"no DICOM at all", other)
    assert response.status_code == 202
    assert len(response.json()[REFERENCED]["Value"]) == 2
    assert reasons(response, OTHER) == [0xC000]
    assert "no DICOM file" in response.headers["warning"]


def test_nothing_but_failures(shared, study):
    broken = study.make("CT", StudyInstanceUID="")
    response = shared.store(broken)
    assert response.status_code == 409
    assert reasons(response) == [0xC000]
    assert response.json()[FAILED]["Value"][0]["00081155"]["Value"] == [broken.sop_instance_uid]
    assert response.json()["00081190"] == {"vr": "UR"}


def test_to_a_study(shared, study):
    mine, foreign = study.make("CT"), SampleStudy().make("CT")
    response = shared.store(mine, foreign, study=study.study_instance_uid)
    assert response.status_code == 202
    assert reasons(response) == [0xA900]
    assert "is of study" in response.headers["warning"]
    uid = foreign.values["StudyInstanceUID"]
    assert shared.found(f"/studies?StudyInstanceUID={uid}") == []
    assert shared.store(foreign, study=study.study_instance_uid).status_code == 409


def test_without_preamble_or_meta(shared, study, wire):
    ct, mr = study.make("CT"), study.make("MR")
    assert shared.store(wire.part10(ct)[128:]).status_code == 200
    assert shared.store(mr.encode(IMPLICIT_VR_LITTLE_ENDIAN)).status_code == 200


def test_again(shared, study):
    ct = study.make("CT")
    assert shared.store(ct).status_code == 200
    assert shared.store(ct).status_code == 200
    # Other content under this UID is set aside, as it is for C-STORE.
    other = study.make("CT", SOPInstanceUID=ct.sop_instance_uid, PatientComments="other")
    assert shared.store(other).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", DICOM, 400),
        (b"--b--\r\n", DICOM, 400),
        (b"x" * 100_000, DICOM, 400),
        (b"--b\r\nno header\r\n\r\n\r\n--b--", DICOM, 400),
        (b"--b\r\n" + b"A: b\r\n" * 10_000, DICOM, 400),
        (b"--b\r\n\r\nends here", DICOM, 400),
        (b"--b--", "multipart/related; type=application/dicom", 400),
        (b"--b--", 'multipart/related; type="application/dicom"; boundary=""', 400),
        (b"--b--", "multipart/form-data; boundary=b", 415),
        (b"--b--", 'multipart/related; type="image/png"; boundary=b', 415),
        (b"{}", "application/json", 415),
        (b"{}", "garbage", 415),
        (b"", "application/dicom", 409),
    ],
)
def test_malformed(shared, body, content_type, status):
    number = shared.stored()
    response = post(shared, body, content_type)
    assert response.status_code == status, response.text
    assert shared.stored() == number
    assert shared.is_well()


def test_what_was_whole_before_the_end_is_stored(shared, study, wire):
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    body = body.replace(b"--b--", b"--b") + b"Content-Type: application/dicom\r\n\r\nDI"
    response = post(shared, body)
    assert response.status_code == 202
    assert len(response.json()[REFERENCED]["Value"]) == 1
    assert reasons(response, OTHER) == [0xC000]


def test_parts_of_another_kind(shared, study, wire):
    body = wire.multipart(
        ("image/jpeg", b"\xff\xd8"), ("application/dicom", wire.part10(study.make("CT")))
    )
    response = post(shared, body)
    assert response.status_code == 202
    assert reasons(response, OTHER) == [0xC000]


def test_many_parts(door, study, wire):
    web = door(max_parts=10)
    body = wire.multipart(*(("application/dicom", b"") for _ in range(50)))
    assert post(web, body).status_code == 400
    assert web.is_well()


def _raw(web, head: bytes, *pieces: bytes) -> socket.socket:
    host = web.client.base_url.host, web.client.base_url.port
    peer = socket.create_connection(host, 10)
    peer.sendall(head)
    for piece in pieces:
        peer.sendall(piece)
    return peer


def _head(web, *lines: str) -> bytes:
    url = web.client.base_url
    return "\r\n".join(
        (
            f"POST {url.path}studies HTTP/1.1",
            f"Host: {url.host}",
            f"Content-Type: {DICOM}",
            *lines,
            "",
            "",
        )
    ).encode()


def test_a_client_who_leaves_leaves_nothing(shared, study, wire):
    number = shared.stored()
    body = wire.multipart(("application/dicom", wire.part10(study.make("CT"))))
    peer = _raw(shared, _head(shared, f"Content-Length: {len(body)}"), body[: len(body) // 2])
    peer.close()
    time.sleep(0.3)
    assert shared.stored() == number
    # The same instance can be stored: nothing is held.
    assert post(shared, body).status_code == 200


def test_a_body_without_end(shared):
    """An endless part is read as slowly as it is stored, and ends with the client."""
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    peer = _raw(shared, _head(shared, "Transfer-Encoding: chunked"))
    peer.sendall(b"9\r\n--b\r\n\r\n\0\0\r\n")
    for _ in range(100):
        peer.sendall(chunk)
    assert shared.is_well()
    peer.close()
    assert shared.is_well()


def test_large(shared, study, wire):
    large = study.make("CT", PixelData=bytes(16 << 20), Rows="4096", Columns="2048")
    assert shared.store(wire.part10(large)).status_code == 200


def part10_of(dataset):
    meta = file_meta(dataset.sop_class_uid, dataset.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    return meta + dataset.encode()


def model_of(dataset):
    """Return metadata of a sample, with a reference to its pixels, and the pixels."""
    elements = read_elements(dataset.encode(), EXPLICIT_VR_LITTLE_ENDIAN, ReadLimits(bulk=0))
    options = ModelOptions(refer=lambda path, element: f"../bulk/{path[-1]:08X}")
    return elements, options, dataset.values["PixelData"]


def mixed(kind, metadata, *bulk, boundary="b"):
    """Return a body of metadata and bulk data with their locations and media types."""
    head = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    parts = [head + metadata]
    for location, content_type, content in bulk:
        head = (
            f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Location: {location}\r\n\r\n"
        )
        parts.append(head.encode() + content)
    return b"\r\n".join([*parts, f"--{boundary}--".encode()])


class TestMetadataWithBulkData:
    JSON = 'multipart/related; type="application/dicom+json"; boundary=b'
    XML = 'multipart/related; type="application/dicom+xml"; boundary=b'

    @pytest.mark.parametrize("location", ["../bulk/7FE00010", "http://x/bulk/7FE00010"])
    def test_json(self, shared, study, location):
        ct = study.make("CT", PatientName="Doe^Jane")
        elements, options, pixels = model_of(ct)
        metadata = f"[{''.join(write_json(elements, options))}]".encode()
        body = mixed(
            "application/dicom+json", metadata, (location, "application/octet-stream", pixels)
        )
        response = post(shared, body, self.JSON)
        assert response.status_code == 200, response.text
        [found] = shared.found(f"/instances?SOPInstanceUID={ct.sop_instance_uid}")
        url = found["00081190"]["Value"][0]
        accept = {"Accept": "application/dicom"}
        dataset = pydicom.dcmread(io.BytesIO(shared.client.get(url, headers=accept).content))
        assert dataset.PixelData == pixels
        assert dataset.PatientName == "Doe^Jane"
        assert dataset == pydicom.dcmread(io.BytesIO(part10_of(ct)))

    def test_xml_to_a_study(self, shared, study):
        ct = study.make("CT")
        elements, options, pixels = model_of(ct)
        body = mixed(
            "application/dicom+xml",
            "".join(write_xml(elements, options)).encode(),
            ("../bulk/7FE00010", "application/octet-stream", pixels),
        )
        path = f"/studies/{study.study_instance_uid}"
        assert post(shared, body, self.XML, path).status_code == 200
        assert post(shared, body, self.XML, "/studies/1.2.3").status_code == 409

    def test_compressed_frames(self, shared, study):
        ct = study.make("CT")
        elements, options, pixels = model_of(ct)
        shared.store(study.make("CT", SOPInstanceUID=f"{ct.sop_instance_uid}1"))
        found = shared.found(f"/instances?SOPInstanceUID={ct.sop_instance_uid}1")
        url = found[0]["00081190"]["Value"][0]
        frame = shared.client.get(f"{url}/frames/1", headers={"Accept": "image/jls"})
        metadata = f"[{''.join(write_json(elements, options))}]".encode()
        bulk = ("../bulk/7FE00010", "image/jls", frame.content)
        response = post(shared, mixed("application/dicom+json", metadata, bulk), self.JSON)
        assert response.status_code == 200, response.text
        url = response.json()[REFERENCED]["Value"][0]["00081190"]["Value"][0]
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        stored = pydicom.dcmread(io.BytesIO(shared.client.get(url, headers=accept).content))
        assert stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
        decoded = shared.client.get(
            f"{url}/frames/1", headers={"Accept": "application/octet-stream"}
        )
        assert decoded.content == pixels

    def test_what_is_not_there(self, shared, study):
        elements, options, _ = model_of(study.make("CT"))
        metadata = f"[{''.join(write_json(elements, options))}]".encode()
        response = post(shared, mixed("application/dicom+json", metadata), self.JSON)
        assert response.status_code == 409
        assert "7FE00010" in response.headers["warning"]

    def test_what_fails_is_named(self, shared, study):
        """By the UIDs that its metadata have: other failures have none (PS3.18 Table I.1-1)."""
        ct = study.make("CT")
        elements, options, pixels = model_of(ct)
        metadata = f"[{''.join(write_json(elements, options))}]".encode()
        alone = mixed("application/dicom+json", metadata)
        pixels = ("../bulk/7FE00010", "application/octet-stream", pixels)
        whole = mixed("application/dicom+json", metadata, pixels)
        for body, path, reason in (
            (alone, "/studies", 0xC000),
            (whole, "/studies/1.2.3", 0xA900),
        ):
            report = post(shared, body, self.JSON, path).json()
            [item] = report[FAILED]["Value"]
            assert item["00081155"]["Value"] == [ct.sop_instance_uid]
            assert item["00081150"]["Value"] == [ct.sop_class_uid]
            assert item["00081197"]["Value"] == [reason]
            assert "0008119A" not in report

    @pytest.mark.parametrize(
        ("kind", "metadata"),
        [
            ("application/dicom+json", b"nonsense"),
            ("application/dicom+json", b"[" * 10_000 + b"]" * 10_000),
            ("application/dicom+json", b'{"00081115":{"vr":"SQ","Value":[' * 10_000),
            (
                "application/dicom+json",
                b'[{"00081115":{"vr":"SQ","Value":['
                + b'{"00081115":{"vr":"SQ","Value":[' * 10_000
                + b"]}}" * 10_000
                + b"]}}]",
            ),
            ("application/dicom+json", b'{"0010":{"vr":"PN"}}'),
            ("application/dicom+xml", b"<NativeDicomModel>"),
            (
                "application/dicom+xml",
                b"<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x/>",
            ),
        ],
    )
    def test_malformed(self, shared, kind, metadata):
        content_type = self.JSON.replace("application/dicom+json", kind)
        response = post(shared, mixed(kind, metadata), content_type)
        assert response.status_code == 400
        assert shared.is_well()

    def test_too_much(self, door, study):
        web = door(max_metadata=2048)
        response = post(web, mixed("application/dicom+json", b"x" * 5000), self.JSON)
        assert response.status_code == 413
        assert web.is_well()


def test_parts_are_reported_in_their_order(shared, study):
    """Small ones are stored at the same time, a large one among them by itself."""
    large = study.make("CT", PixelData=bytes(4 << 20), Rows="2048", Columns="1024")
    samples = [study.make("CT") for _ in range(9)] + [large] + [study.make("CT") for _ in range(9)]
    response = shared.store(*samples)
    assert response.status_code == 200
    items = response.json()[REFERENCED]["Value"]
    assert [item["00081155"]["Value"][0] for item in items] == [s.sop_instance_uid for s in samples]
    assert len(shared.found(f"/studies/{study.study_instance_uid}/instances")) == 19


def test_many_parts_of_which_the_last_is_cut_off(shared, study, wire):
    """More than are stored at the same time; those that were whole are reported in their order."""
    samples = [study.make("CT") for _ in range(20)]
    parts = [("application/dicom", wire.part10(sample)) for sample in samples]
    response = post(shared, wire.multipart(*parts)[:-200])
    assert response.status_code == 202
    uids = [item["00081155"]["Value"][0] for item in response.json()[REFERENCED]["Value"]]
    assert uids == [sample.sop_instance_uid for sample in samples[:-1]]
    assert reasons(response, OTHER) == [0xC000]
    assert len(shared.found(f"/studies/{study.study_instance_uid}/instances")) == 19
