"""Hostile requests, each followed by a healthy one; what is denied or hidden is not there."""

import gzip
import io
import socket
import time
from contextlib import closing

import pydicom
import pytest

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

DICOM = 'multipart/related; type="application/dicom"; boundary=b'


def path_of(dataset):
    values = dataset.values
    return (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )


@pytest.fixture(scope="module")
def sample(shared):
    made = SampleStudy().make("CT")
    shared.store(made)
    return made


def ask(web, head, *pieces):
    """Send raw bytes; return the status line, or nothing if the server just closes."""
    url = web.client.base_url
    with closing(socket.create_connection((url.host, url.port), 10)) as peer:
        peer.settimeout(10)
        peer.sendall(head.replace("HOST", url.host).encode("latin-1"))
        try:
            for piece in pieces:
                peer.sendall(piece)
            return peer.recv(4096)
        except (ConnectionError, TimeoutError):
            return b""


@pytest.mark.parametrize(
    "path",
    [
        f"/studies/{'9' * 65}",
        "/studies/..%2f..%2f..%2fetc%2fpasswd",
        "/studies/%2e%2e/%2e%2e",
        "/studies/1.2%00.3/metadata",
        "/studies/1.2%0d%0aSet-Cookie:x/metadata",
        "/studies/'%20OR%201=1--/series",
        "/studies?PatientName=%00",
        "/studies?PatientName='%20OR%20'1'='1",
        "/studies?StudyDate=" + "9" * 1000,
        "/studies?limit=-5",
        "/studies?offset=18446744073709551617",
        "/studies?PatientName=" + "*" * 200 + "x",
        "/studies?"
        + "&".join(f"includefield={n:08x}" for n in range(0x00100000, 0x00100000 + 600)),
        "/studies?" + "&".join(["PatientID=1"] * 600),
        "/series?RequestAttributesSequence." + "RequestAttributesSequence." * 14 + "PatientID=1",
    ],
)
def test_paths_and_queries(shared, path):
    response = shared.get(path)
    assert response.status_code in {200, 400, 404, 414}
    assert "set-cookie" not in response.headers
    assert shared.is_well()


@pytest.mark.parametrize(
    ("separator", "status"),
    [("&includefield=", 414), (",", 200), ("%2C", 200)],
    ids=["parameters", "a list", "a list that is encoded"],
)
def test_a_thousand_fields(shared, sample, separator, status):
    """A list fits into a target; as parameters they make it too long (RFC 9110 §15.5.15)."""
    tags = [f"{tag:08X}" for tag in range(0x00100000, 0x00100000 + 1000)]
    for resource in ("/studies", "/series", "/instances"):
        target = f"{resource}?limit=1&includefield={separator.join(tags)}"
        response = shared.get(target)
        assert response.status_code == status, response.text
        if status == 200:
            assert len(response.json()) == 1
        assert shared.is_well()


def test_ten_thousand_frames(shared, sample):
    target = f"{path_of(sample)}/frames/{','.join(['1'] * 10_000)}"
    assert shared.get(target).status_code == 414
    assert shared.is_well()


def test_a_search_with_a_body_that_is_nested_deeply(shared, sample):
    """Content of a GET has no meaning (RFC 9110 §9.3.1): it is not parsed."""
    body = b"[" * 10_000 + b"]" * 10_000
    kind = {"Content-Type": "application/json"}
    response = shared.client.request("GET", "/studies?limit=1", content=body, headers=kind)
    assert response.status_code == 200, response.text
    assert len(response.json()) == 1
    assert shared.is_well()


@pytest.mark.parametrize(
    "accept",
    [
        "," * 8000,
        "a/b;" + "x=y;" * 1500,
        'multipart/related; type="' + "a" * 8000,
        "*/*;q=" + "9" * 5000,
        "\\" * 4000,
        "application/dicom+json;q=nan, application/dicom+json;q=-1",
    ],
)
def test_accept(shared, sample, accept):
    for path in ("/studies", path_of(sample), f"{path_of(sample)}/frames/1"):
        assert shared.get(path, accept).status_code in {200, 406, 431}
    assert shared.is_well()


def test_a_name_that_would_be_markup_or_headers(shared):
    name = "<script>alert(1)</script>\r\nX-Bad: 1"
    made = SampleStudy().make("CT", PatientName=name, StudyDescription='"><img src=x>')
    shared.store(made)
    uid = made.values["StudyInstanceUID"]
    response = shared.get(f"/studies?StudyInstanceUID={uid}&includefield=all")
    assert "x-bad" not in response.headers
    assert response.headers["content-type"] == "application/dicom+json"
    assert response.headers["x-content-type-options"] == "nosniff"
    [found] = response.json()
    assert "script" in found["00100010"]["Value"][0]["Alphabetic"]
    response = shared.get(f"/studies?X{'<b>' * 5}=1")
    assert "<b>" not in response.headers.get("warning", "").replace("'", "") or response.is_success


def test_a_bomb_in_gzip(shared):
    bomb = gzip.compress(bytes(200 << 20))
    response = shared.client.post(
        "/studies", content=bomb, headers={"Content-Type": DICOM, "Content-Encoding": "gzip"}
    )
    assert response.status_code in {400, 413}
    assert shared.is_well()


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 10\r\nTransfer-Encoding: chunked",
        "Content-Length: 10\r\nContent-Length: 11",
        "Content-Length: -1",
        "Transfer-Encoding: gzip, chunked, identity",
    ],
)
def test_lengths_that_contradict(shared, lines):
    number = shared.stored()
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: HOST\r\nContent-Type: {DICOM}\r\n"
    head += f"{lines}\r\n\r\n"
    answer = ask(shared, head, b"--b--\r\n\r\n0\r\n\r\n")
    assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert shared.stored() == number
    assert shared.is_well()


def test_a_body_that_is_shorter_than_it_says(shared, wire):
    number = shared.stored()
    body = wire.multipart(("application/dicom", wire.part10(SampleStudy().make("CT"))))
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: HOST\r\nContent-Type: {DICOM}\r\n"
        f"Content-Length: {len(body) + 1000}\r\n\r\n"
    )
    url = shared.client.base_url
    with closing(socket.create_connection((url.host, url.port), 10)) as peer:
        peer.sendall(head.replace("HOST", url.host).encode() + body[:-200])
    time.sleep(0.2)
    assert shared.stored() == number
    assert shared.is_well()


def test_a_client_who_reads_nothing(shared, sample):
    """Responses are made only as fast as they are taken."""
    url = shared.client.base_url
    numbers = ",".join(["1"] * 4000)
    path = f"{url.path.rstrip('/')}{path_of(sample)}/frames/{numbers}"
    head = f"GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"
    with closing(socket.create_connection((url.host, url.port), 10)) as peer:
        peer.sendall(head.replace("HOST", url.host).encode())
        time.sleep(0.3)
        assert shared.is_well()
    assert shared.is_well()


def broken(study, **values):
    """Return an image whose header does not tell the truth about its pixels."""
    made = study.make("CT")
    meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    dataset = pydicom.dcmread(io.BytesIO(meta + made.encode()))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return made, out.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        {"PixelData": b""},
        {"PixelData": b"\1\2"},
        {"Rows": 0},
        {"NumberOfFrames": "99999999"},
        {"NumberOfFrames": "-1"},
        {"BitsAllocated": 13},
        {"SamplesPerPixel": 7},
        {"PhotometricInterpretation": "NONSENSE"},
        {"WindowWidth": "0"},
        {"WindowWidth": "-5"},
    ],
)
def test_images_that_lie(shared, values):
    made, content = broken(SampleStudy(), **values)
    assert shared.store(content).status_code in {200, 202, 409}
    for resource in ("/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010", "/metadata"):
        assert shared.get(path_of(made) + resource).status_code in {200, 404, 406}
    assert shared.get(path_of(made), "application/dicom; transfer-syntax=*").status_code in {
        200,
        404,
    }
    assert shared.is_well()


def test_a_codestream_that_is_none(shared):
    made, content = broken(SampleStudy())
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    out = io.BytesIO()
    dataset.save_as(out)
    shared.store(out.getvalue())
    for resource in ("/frames/1", "/rendered"):
        assert shared.get(path_of(made) + resource).status_code == 406
        assert shared.is_well()
