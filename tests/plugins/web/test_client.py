"""``pacs web``: our client of DICOMweb, against our server, Orthanc's, and some that misbehave."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread

import httpx
import pytest
from attrs import frozen
from pydicom import dcmread

from pacs_core.api.commands import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import write_config
from pacs_core.testing.peer_programs import find_free_port

from .conftest import run_web

STUDY = "1.2.3.4"


@frozen
class Said:
    code: int
    out: str
    err: str


def pacs_web(*arguments: object, config: Path | None = None) -> Said:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        chosen = ["--config", str(config)] if config else []
        code = main(["web", *map(str, arguments), *chosen])
    return Said(code, out.getvalue(), err.getvalue())


def sample_files(folder: Path) -> Path:
    """Fill a folder with a study of three images, and with something else."""
    study = SampleStudy(STUDY)
    folder.mkdir()
    for number in range(3):
        sample = study.make("CT")
        meta = file_meta(sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        (folder / f"{number}.dcm").write_bytes(meta + sample.encode())
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("client") / "files")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with run_web(tmp_path_factory.mktemp("node"), plugins=("dicomweb",)) as server:
        yield f"{server.url}/dicom-web"


@pytest.fixture
def config(tmp_path, root):
    """The config of another node, which has the server as a peer without AE title."""
    return write_config(tmp_path / "here", {"peers": {"other": {"dicomweb": root}}})


def datasets(folder: Path) -> dict[str, bytes]:
    """Return the datasets of the files in a folder, by SOP Instance UID."""
    found = {}
    for path in folder.rglob("*.dcm"):
        content = path.read_bytes()
        length = 144 + int.from_bytes(content[140:144], "little")
        found[dcmread(path).SOPInstanceUID] = content[length:]
    return found


def test_what_was_stored_is_found_and_comes_back_byte_for_byte(files, config, tmp_path):
    stored = pacs_web("store", "other", files, config=config)
    assert (stored.code, stored.out) == (0, "3 instances stored, 0 not\n"), stored.err
    assert "notes.txt is no DICOM file" in stored.err
    found = pacs_web("find", "other", "--key", f"StudyInstanceUID={STUDY}", config=config)
    assert found.code == 0
    assert STUDY in found.out
    images = pacs_web("find", "other", "--level", "image", "--format", "json", config=config)
    assert {each["SOPInstanceUID"] for each in json.loads(images.out)} >= set(datasets(files))
    got = pacs_web("get", "other", "--study", STUDY, "--output", tmp_path / "out", config=config)
    assert (got.code, got.out) == (0, "3 instances received\n"), got.err
    assert datasets(tmp_path / "out") == datasets(files)
    assert not list((tmp_path / "out").glob(".incoming*"))
    again = pacs_web("store", "other", files, config=config)
    assert (again.code, again.out) == (0, "3 instances stored, 0 not\n")


def test_a_url_is_a_peer_as_well(files, root, tmp_path):
    assert pacs_web("store", root, files).code == 0
    uid, (series,) = next(iter(datasets(files))), series_of(files)
    given = ("--study", STUDY, "--series", series, "--instance", uid, "--output", tmp_path)
    assert pacs_web("get", f"{root}/", *given).out == "1 instances received\n"
    assert [path.stem for path in tmp_path.rglob("*.dcm")] == [uid]


def series_of(files):
    return {dcmread(path).SeriesInstanceUID for path in files.glob("*.dcm")}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("find", "nobody"), 2, "no peer with `dicomweb` is called 'nobody': configured are other"),
        (("find", "ftp://host/x"), 2, "write it as https://host/dicom-web"),
        (("find", "other", "--key", "Nonsense=1"), 2, "Nonsense"),
        (("find", "other", "--key", "StudyDate=soon"), 1, "answered 400"),
        (("get", "other", "--study", "../x", "--output", "OUT"), 2, "is no UID"),
        (("get", "other", "--study", "9.9.9", "--output", "OUT"), 1, "answered 404"),
        (("store", "other", "missing.dcm"), 2, "missing.dcm does not exist"),
        (("store", "other"), 2, "at least one file"),
        (("find", "http://127.0.0.1:9/dicom-web"), 1, "cannot be reached"),
    ],
)
def test_what_is_wrong_is_said(config, tmp_path, arguments, code, said, monkeypatch):
    monkeypatch.setattr("pacs_dicomweb.client.web_client._PAUSES", (0.0,))
    given = [str(tmp_path) if each == "OUT" else each for each in arguments]
    result = pacs_web(*given, config=config)
    assert result.code == code, result
    assert said in result.err


# Servers that misbehave

UID = "1.2.826.0.1.3680043.8.498.1"


class Answers(BaseHTTPRequestHandler):
    """Answers each request with the next of some answers, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    answers: list[tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, dict[str, str], bytes]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.path, dict(self.headers), body))
        status, headers, answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)
        if "Content-Length" in headers:
            self.close_connection = True

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def answering(*answers):
    kind = type("Kind", (Answers,), {"answers": list(answers), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kind.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def multipart(*parts: bytes, end: bytes = b"--\r\n") -> tuple[int, dict[str, str], bytes]:
    head = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    body = b"".join(head + part for part in parts) + b"\r\n--b" + end
    return 200, {"Content-Type": kind}, body


def named(study: str, instance: str = UID) -> bytes:
    sample = SampleStudy(study).make("CT", SOPInstanceUID=instance)
    return file_meta(sample.sop_class_uid, UID, EXPLICIT_VR_LITTLE_ENDIAN) + sample.encode()


def get(url, tmp_path):
    return pacs_web("get", url, "--study", "1.2", "--output", tmp_path / "out")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (multipart(named("../../../etc")), "lacks a UID"),
        (multipart(named("1.2", "/etc/passwd")), "lacks a UID"),
        (multipart(b"<html>no image</html>"), "it is no DICOM file"),
        (multipart(named("1.2")[:3000], end=b""), "is not whole"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "answered with text/html"),
        ((200, {"Content-Type": "multipart/related"}, b"x"), "boundary"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "answered 302"),
        ((401, {}, b'{"detail": "who are you?"}'), "answered 401 Unauthorized: who are you?"),
        ((500, {}, b"\x1b[31m" * 9000), "answered 500"),
    ],
)
def test_nothing_is_left_of_what_is_no_instance(tmp_path, answer, said):
    with answering(answer) as (url, _):
        result = get(url, tmp_path)
    assert result.code == 1
    assert said in result.err
    assert "\x1b" not in result.err
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_response_that_is_cut_off_is_no_success(tmp_path):
    status, headers, body = multipart(named("1.2"))
    with answering((status, headers | {"Content-Length": str(len(body) + 100)}, body)) as (url, _):
        result = get(url, tmp_path)
    assert result.code == 1
    assert "is not whole" in result.err


def test_a_study_of_which_some_instances_are_missing_is_no_success(tmp_path):
    """dicomweb-client 94: 206 (PS3.18 Table 8.5-1) was taken for everything."""
    _, headers, body = multipart(named("1.2"))
    warning = {"Warning": '299 there "1 of 2 instances cannot be had so"'}
    with answering((206, headers | warning, body)) as (url, _):
        result = get(url, tmp_path)
    assert result.code == 1
    assert "1 of 2 instances cannot be had so" in result.err
    assert "1 instances were received" in result.err
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1


def test_one_instance_is_asked_for_as_such(tmp_path):
    """orthanc-explorer-2 95: the whole series was asked for, and came."""
    place = ("--study", "1.2", "--series", "1.3", "--instance", "1.4")
    with answering(multipart(named("1.2"))) as (url, asked):
        assert pacs_web("get", url, *place, "--output", tmp_path / "out").code == 0
    assert asked[0][0] == "/studies/1.2/series/1.3/instances/1.4"


def test_links_in_the_folder_are_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "1.2").symlink_to(tmp_path / "elsewhere")
    with answering(multipart(named("1.2"))) as (url, _):
        result = get(url, tmp_path)
    assert result.code == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_passes_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("pacs_dicomweb.client.web_client._PAUSES", (0.0,))
    busy = (503, {"Retry-After": "0"}, b"")
    with answering(busy, busy, multipart(named("1.2"))) as (url, asked):
        assert get(url, tmp_path).out == "1 instances received\n"
        assert len(asked) == 3
    with answering(busy) as (url, asked):
        assert "answered 503" in get(url, tmp_path).err
        assert len(asked) == 3


def test_what_a_server_refuses_is_named(files):
    failed, stored = sorted(datasets(files))[:2]
    module = {
        "00081198": {
            "vr": "SQ",
            "Value": [
                {
                    "00081155": {"vr": "UI", "Value": [failed]},
                    "00081197": {"vr": "US", "Value": [0x0110]},
                }
            ],
        },
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [stored]}}]},
    }
    answer = (409, {"Content-Type": "application/dicom+json"}, json.dumps(module).encode())
    with answering(answer) as (url, asked):
        result = pacs_web("store", url, files)
    assert (result.code, result.out) == (1, "1 instance stored, 1 not\n")
    assert f"{failed} was not stored: 0110H" in result.err
    (_, headers, body) = asked[0]
    assert int(headers["Content-Length"]) == len(body)
    assert all(path.read_bytes() in body for path in files.glob("*.dcm"))


@pytest.mark.parametrize("body", [b"", b"[]", b"[1]", b"nonsense", b"{" * 100_000])
def test_an_answer_that_makes_no_sense_is_an_error(files, body):
    with answering((200, {"Content-Type": "application/dicom+json"}, body)) as (url, _):
        result = pacs_web("store", url, files)
    assert result.code == 1
    assert "makes no sense" in result.err


def test_secrets_go_to_their_server_only(tmp_path, monkeypatch):
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    with answering((200, {}, b"[]")) as (url, asked):
        peer = {"dicomweb": url, "dicomweb_token": {"env": "THE_TOKEN"}}
        config = write_config(tmp_path, {"peers": {"other": peer}})
        assert pacs_web("find", "other", config=config).code == 0
        assert asked[0][1]["Authorization"] == "Bearer s3cret"
        pacs_web("find", url, config=config)
        assert "Authorization" not in asked[1][1]
    monkeypatch.delenv("THE_TOKEN")
    missing = pacs_web("find", "other", config=config)
    assert missing.code == 1
    assert "THE_TOKEN is not set" in missing.err


# Another make

ORTHANC, PLUGIN = (
    shutil.which("Orthanc", path="/usr/sbin:/usr/bin"),
    ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"),
)


@pytest.mark.skipif(
    ORTHANC is None or not Path(PLUGIN).exists(), reason="Orthanc and its plugin are not installed"
)
def test_orthanc_takes_and_gives(files, tmp_path, free_ports):
    http_port, dicom_port = free_ports
    settings = {
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [PLUGIN],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([ORTHANC, tmp_path / "orthanc.json"], stdout=log, stderr=log)
    root = f"http://127.0.0.1:{http_port}/dicom-web"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{root}/studies").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        assert pacs_web("store", root, files).out == "3 instances stored, 0 not\n"
        found = pacs_web("find", root, "--key", f"StudyInstanceUID={STUDY}")
        assert STUDY in found.out
        got = pacs_web("get", root, "--study", STUDY, "--output", tmp_path / "out")
        assert got.out == "3 instances received\n", got.err
        assert set(datasets(tmp_path / "out")) == set(datasets(files))
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def free_ports():
    return find_free_port(), find_free_port()
