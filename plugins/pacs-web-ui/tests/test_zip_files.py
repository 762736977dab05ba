"""Zip files: what is in them is stored, and what is wrong with them is said."""

import io
import json
import struct
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from pacs_web.api.http import HttpError
from pacs_web.testing import RunningServer, WebRoutesContract, serve_routes
from pacs_web_ui import WebUiConfig, pacs_web_routes
from pacs_web_ui.zip_files import list_entries, open_zip

from pacs_core.contracts import Level, NodeSettings, Query, Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.operations import memory_node

pytestmark = pytest.mark.anyio

UPLOAD = pacs_web_routes(Setup(NodeSettings(), {WebUiConfig: WebUiConfig(max_zip=4 << 20)}))[-1]


class TestUpload(WebRoutesContract):
    @pytest.fixture
    def descriptor(self):
        return UPLOAD


def part10(dataset):
    uids = dataset.sop_class_uid, dataset.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
    return file_meta(*uids) + dataset.encode()


def make_zip(files, method=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


@pytest.fixture
def dicom_files():
    study = SampleStudy()
    return [part10(study.make("CT")) for _ in range(3)]


@pytest.fixture
def node(tmp_path):
    return memory_node(NodeSettings(data_directory=tmp_path))


@pytest.fixture
async def server(node, anyio_backend) -> AsyncIterator[RunningServer]:
    async with serve_routes(UPLOAD, node) as running:
        yield running


async def send(server, content, **headers):
    return await server.client.post("/api/upload/zip", content=content, headers=headers)


async def stored(node):
    return await node.archive.count(Query(Level.IMAGE))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_files_in_folders_are_stored(server, node, dicom_files, method, tmp_path) -> None:
    files = [(f"a/b/{n}.dcm", each) for n, each in enumerate(dicom_files)]
    noise = [("__MACOSX/._1", b"x"), ("a/.DS_Store", b"x"), ("DICOMDIR", b"x"), ("a/b/", b"")]
    answer = await send(server, make_zip([*files, *noise, ("viewer/read me.txt", b"?")], method))
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report == {"total": 4, "stored": 3, "known": 0, "skipped": 1, "failed": 0, "reasons": []}
    assert await stored(node) == 3
    again = (await send(server, make_zip(files))).json()
    assert (again["stored"], again["known"]) == (0, 3)
    assert list(tmp_path.iterdir()) == []


async def test_datasets_that_stand_by_themselves_are_stored(server, node) -> None:
    """Old media have files without preamble and file meta information."""
    study = SampleStudy()
    files = [
        ("explicit", study.make("CT").encode()),
        ("implicit", study.make("CT").encode(IMPLICIT_VR_LITTLE_ENDIAN)),
        ("noise", b"\x08\0" * 40),
    ]
    report = (await send(server, make_zip(files))).json()
    assert (report["stored"], report["skipped"], report["failed"]) == (2, 1, 0)
    assert await stored(node) == 2


async def test_progress_comes_as_lines(server, dicom_files) -> None:
    content = make_zip((str(n), each) for n, each in enumerate(dicom_files))
    answer = await send(server, content, accept="application/jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0]["total"] == lines[-1]["stored"] == 3


async def test_names_lead_nowhere(server, node, dicom_files, tmp_path) -> None:
    names = [
        "../../zipped.dcm",
        "/etc/zipped.dcm",
        "..\\zipped.dcm",
        "C:\\zipped.dcm",
        "a\x00b\x1b[31m",
    ]
    files = [(name, dicom_files[0]) for name in names] + [("../../odd\x1b", b"PK\x03\x04....")]
    report = (await send(server, make_zip(files))).json()
    assert (report["stored"], report["known"], report["failed"]) == (1, 4, 1)
    assert report["reasons"] == ["../../odd?: a zip file in a zip file is not opened: unpack it"]
    assert list(tmp_path.parent.rglob("*zipped*")) == []


async def test_a_zip_in_a_zip_is_not_opened(server, node, dicom_files) -> None:
    inner = make_zip([("1.dcm", dicom_files[0])])
    report = (await send(server, make_zip([("inner.zip", inner), ("2", dicom_files[1])]))).json()
    assert (report["stored"], report["failed"]) == (1, 1)
    assert "inner.zip" in report["reasons"][0]
    assert await stored(node) == 1


def set_flags(content, flags):
    """Set flags of all entries, in their headers and in the directory."""
    content = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= flags
            at = content.find(signature, at + 4)
    return bytes(content)


async def test_encrypted_files_are_refused_by_name(server, dicom_files) -> None:
    report = (await send(server, set_flags(make_zip([("1.dcm", dicom_files[0])]), 1))).json()
    assert report["reasons"] == ["1.dcm: it is encrypted: make a zip file without a password"]


async def test_other_compressions_are_refused_by_name(server, dicom_files) -> None:
    content = make_zip([("1.dcm", dicom_files[0])], zipfile.ZIP_LZMA)
    report = (await send(server, content)).json()
    assert (report["stored"], report["failed"]) == (0, 1)
    assert "lzma" in report["reasons"][0]


async def test_a_bomb_is_refused_before_it_is_opened(server, node) -> None:
    content = make_zip([(str(n), bytes(64 << 20)) for n in range(5)])
    assert len(content) < 1 << 20
    answer = await send(server, content)
    assert answer.status_code == 413
    assert "bomb" in answer.json()["detail"]
    assert await stored(node) == 0


async def test_sizes_that_lie_are_not_believed(server, node, dicom_files) -> None:
    """An entry gives no more bytes than the directory says, so that no sum is too small."""
    content = bytearray(make_zip([("1.dcm", dicom_files[0]), ("2.dcm", dicom_files[1])]))
    entry = content.find(b"PK\x01\x02")
    struct.pack_into("<L", content, entry + 24, len(dicom_files[0]) - 100)
    report = (await send(server, bytes(content))).json()
    assert (report["stored"], report["failed"]) == (1, 1)
    assert "damaged" in report["reasons"][0]
    assert await stored(node) == 1


async def test_a_directory_without_end_is_not_read(server) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 1 << 30, 0, 0)
    answer = await send(server, b"PK\x03\x04" + bytes(1000) + end)
    assert answer.status_code == 413
    assert "entries" in answer.json()["detail"]


async def test_a_file_that_is_too_large_is_refused(server, tmp_path) -> None:
    answer = await send(server, bytes(5 << 20))
    assert answer.status_code == 413
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 100_000, b"PK\x05\x06" + bytes(18)])
async def test_what_is_no_zip_file_is_refused(server, node, content) -> None:
    answer = await send(server, content)
    assert answer.status_code in (200, 400)  # an empty zip file is one
    assert await stored(node) == 0


async def test_half_a_file_is_refused(server, dicom_files) -> None:
    content = make_zip((str(n), each) for n, each in enumerate(dicom_files))
    assert (await send(server, content[: len(content) // 2])).status_code == 400


@given(st.binary(max_size=300), st.integers(0, 3000), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_a_zip_file_or_refused(noise, at, change) -> None:
    content = bytearray(make_zip([("a", b"x" * 500), ("b/c", b"y")]) + noise)
    content[at : at + len(change)] = change
    with suppress(HttpError):
        assert len(list(list_entries(open_zip(io.BytesIO(content))))) <= 2
