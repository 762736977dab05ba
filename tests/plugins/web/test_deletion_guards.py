"""What a plugin holds is not deleted by any door, and each says why."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

from .conftest import run_web

LEGAL_HOLD = Path(__file__).parents[2] / "distributions" / "pacs-legal-hold"
TABLES = {
    "plugin": {"web": {"port": 0}, "dicomweb": {"delete": True}, "web-ui": {"deletion": True}},
}
SAID = "2 instances are held: legal-hold: case 17/4"


@pytest.fixture(scope="module")
def web(site, tmp_path_factory):
    site.link(LEGAL_HOLD)
    folder = tmp_path_factory.mktemp("held")
    with run_web(folder, plugins=("dicomweb", "web-ui", "legal-hold"), **TABLES) as running:
        yield running


@pytest.fixture
def study(web):
    """A study of two instances that is held."""
    study = SampleStudy()
    for _ in range(2):
        sample = study.make("CT")
        uids = sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
        part = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file_meta(*uids)
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        content = part + sample.encode() + b"\r\n--b--\r\n"
        with web.client(headers=headers) as client:
            assert client.post("/dicom-web/studies", content=content).status_code == 200
    uid = study.study_instance_uid
    with (web.node.data_directory / "legal-holds.txt").open("a") as file:
        file.write(f"{uid} case 17/4\n")
    return uid


def is_there(web, study):
    return len(web.get(f"/dicom-web/studies/{study}/instances").json()) == 2


@pytest.mark.parametrize("door", ["/dicom-web", "/api"])
def test_a_request_to_delete_is_answered_409_with_the_reason(web, study, door):
    with web.client() as client:
        answer = client.delete(f"{door}/studies/{study}")
    assert answer.status_code == 409
    assert SAID in answer.text
    assert (
        "Some of it must be kept: legal-hold: case 17/4"
        in web.get(f"/ui/studies/{study}/delete").text
    )
    assert is_there(web, study)


def pacs(web, *command):
    config = ["--config", str(web.node.data_directory / "pacs.toml")]
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", *command, *config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_names_what_is_held_and_deletes_it_for_a_reason(web, study):
    shown = pacs(web, "delete", "--study", study)
    assert shown.returncode == 0
    assert shown.stderr.count("legal-hold: case 17/4") == 2
    refused = pacs(web, "delete", "--study", study, "--yes")
    assert refused.returncode == 1
    assert refused.stderr.count("legal-hold: case 17/4") == 3
    assert SAID in refused.stderr
    assert is_there(web, study)
    done = pacs(web, "delete", "--study", study, "--yes", "--override", "the court has judged")
    assert (done.returncode, done.stdout) == (0, "2 instances deleted\n")
    lines = (web.node.data_directory / "audit" / "audit.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["event"] == "delete"]
    last = [e for e in events if e["details"]["study_instance_uid"] == study][-1]
    assert last["details"]["override"] == "the court has judged"
    assert last["details"]["reason"] == ["legal-hold: case 17/4"]


def test_a_guard_that_does_not_run_holds_all(web, study):
    """Storing goes on all the while."""
    path = web.node.data_directory / "legal-holds.txt"
    before = path.read_bytes()
    path.write_bytes(b"\xff\xff")
    try:
        with web.client() as client:
            answer = client.delete(f"/dicom-web/studies/{study}")
    finally:
        path.write_bytes(before)
    assert answer.status_code == 409
    assert "legal-hold: it failed, see the node's log" in answer.text
    assert is_there(web, study)
