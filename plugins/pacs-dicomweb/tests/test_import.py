"""All that a DICOMweb server has, taken over: from a node, and from servers with their own ways."""

import json
from collections import Counter

import httpx
import pytest
from pacs_dicomweb.client.importing import WebImport
from pacs_dicomweb.client.web_client import DicomWebClient, DicomWebError

from pacs_core.api.commands import assemble_for_command, local_origin, main, open_archive
from pacs_core.contracts import DicomWebPeer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

pytestmark = pytest.mark.anyio


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "pacs.toml"
    path.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    return path


def objects(config):
    return sorted(path.read_bytes() for path in (config.parent / "data").rglob("*.dcm"))


def test_what_a_node_has_is_taken_over_once(shared, config, capsys, wire):
    studies = [SampleStudy() for _ in range(3)]
    samples = [s.make(m, PatientID="MOVE") for s in studies for m in ("CT", "SR", "MR")]
    assert shared.store(*samples).status_code == 200
    take = ["web", "import", shared.url, "--key", "PatientID=MOVE", "--config", str(config)]
    assert main(take) == 0
    assert capsys.readouterr().out == "9 instances stored\n"
    datasets = [sample.encode() for sample in samples]
    assert all(any(each.endswith(data) for each in objects(config)) for data in datasets)
    more = studies[0].make("CT", PatientID="MOVE")
    shared.store(more)
    assert main(take) == 0
    assert capsys.readouterr().out == "1 instance stored, 9 known\n"
    assert main(["index", "verify", "--content", "--config", str(config)]) == 0
    trail = (config.parent / "data" / "audit" / "audit.jsonl").read_text()
    assert trail.count(f'"from":"{shared.url}"') == 2


class Server:
    """One that answers as it is told (PS3.18 10.4, 10.6)."""

    def __init__(self, *samples, page=2, knows_offset=True, broken=()):
        self.samples, self.page, self.knows_offset, self.broken = (
            samples,
            page,
            knows_offset,
            broken,
        )
        self.retrieved = Counter()

    def __call__(self, request):
        parts = request.url.path.strip("/").split("/")
        if parts[-1] in ("studies", "instances"):
            return self.list(parts, int(request.url.params["offset"]))
        self.retrieved[len(parts)] += 1
        chosen = [s for s in self.samples if parts[-1] in s.values.values()]
        body = b""
        for sample in chosen:
            uid = sample.sop_instance_uid
            meta = file_meta(sample.sop_class_uid, uid, EXPLICIT_VR_LITTLE_ENDIAN)
            file = meta + sample.encode()
            body += b"--b\r\nContent-Type: application/dicom\r\n\r\n"
            if uid in self.broken:
                if len(parts) > 2:
                    return httpx.Response(500, json={"detail": "the file is gone"})
                body += file[: len(file) // 2]
                break
            body += file + b"\r\n"
        else:
            body += b"--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        return httpx.Response(200, content=body, headers={"content-type": kind})

    def list(self, parts, offset):
        key = "StudyInstanceUID" if parts[-1] == "studies" else "SOPInstanceUID"
        found = {}
        for sample in self.samples:
            if len(parts) == 1 or sample.values["StudyInstanceUID"] == parts[1]:
                found.setdefault(sample.values[key], sample)
        rows = [
            {
                tag: {"vr": "UI", "Value": [sample.values[keyword]]}
                for tag, keyword in (
                    ("0020000D", "StudyInstanceUID"),
                    ("0020000E", "SeriesInstanceUID"),
                    ("00080018", "SOPInstanceUID"),
                )
            }
            for sample in found.values()
        ]
        if self.knows_offset:
            rows = rows[offset : offset + self.page]
        if not rows:
            return httpx.Response(204)
        return httpx.Response(200, content=json.dumps(rows))


async def take_over(server, config):
    async with (
        open_archive(assemble_for_command(config)) as opened,
        httpx.AsyncClient(transport=httpx.MockTransport(server)) as http,
    ):
        client = DicomWebClient(DicomWebPeer("http://other"), http)
        task = WebImport(opened, opened.index, client, local_origin("import"))
        await task.run(2)
        return +task.outcomes


@pytest.mark.parametrize("knows_offset", [True, False])
async def test_short_pages_are_not_the_last_and_the_same_page_is(config, knows_offset):
    """As of dcm4chee, which hides what was rejected; and of servers that know no offset."""
    samples = [SampleStudy().make("CT") for _ in range(5)]
    server = Server(*samples, knows_offset=knows_offset)
    assert await take_over(server, config) == {"stored": 5}
    assert server.retrieved == {2: 5}
    assert await take_over(server, config) == {"known": 5}
    assert server.retrieved == {2: 5}


async def test_one_that_cannot_be_given_keeps_no_other_away(config, capsys):
    """The response breaks off amid it; then each is asked for, and this one named."""
    study = SampleStudy()
    samples = [study.make("CT") for _ in range(4)]
    server = Server(*samples, broken=[samples[1].sop_instance_uid])
    assert await take_over(server, config) == {"stored": 3, "failed": 1}
    told = capsys.readouterr().err
    assert f"{samples[1].sop_instance_uid}: http://other answered 500" in told
    assert len(objects(config)) == 3
    server.broken = ()
    assert await take_over(server, config) == {"known": 3, "stored": 1}


async def test_a_study_of_which_no_instance_is_listed_is_retrieved_all_the_same(config, capsys):
    """As of dcm4chee whose instances were purged from the database, and not from the disk."""
    server = Server(SampleStudy().make("CT"))
    listed = server.list
    server.list = lambda parts, offset: (
        httpx.Response(204) if parts[-1] == "instances" else listed(parts, offset)
    )
    assert await take_over(server, config) == {"stored": 1}
    server.broken = [server.samples[0].sop_instance_uid]
    assert (await take_over(server, config))["failed"] == 1
    assert "study " in capsys.readouterr().err


async def test_what_is_no_uid_does_not_become_part_of_an_address(config):
    odd = SampleStudy("../../../admin").make("CT")
    with pytest.raises(DicomWebError, match="lists what has no UID"):
        await take_over(Server(odd), config)
