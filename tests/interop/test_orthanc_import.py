"""All that an Orthanc server has, taken over: from its REST API, and from its folder."""

import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from pacs_core.cli.main import main
from pacs_core.testing.peer_programs import find_free_port

PATIENCE = 60.0
USER, PASSWORD = "importer", "s3cret"
SAMPLES = Path(find_spec("pydicom").origin).parent / "data" / "test_files"
FILES = [SAMPLES / "MR_small.dcm", *sorted((SAMPLES / "dicomdirtests" / "77654033").rglob("CR*/*"))]
FILES += sorted((SAMPLES / "dicomdirtests" / "98892003" / "MR1").iterdir())


pytestmark = pytest.mark.peer("orthanc")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """A server that compresses its files, its folder, and what it was given."""
    place = tmp_path_factory.mktemp("orthanc")
    port = find_free_port()
    config = {
        "StorageDirectory": str(place / "storage"),
        "IndexDirectory": str(place / "storage"),
        "StorageCompression": True,
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
    }
    (place / "orthanc.json").write_text(json.dumps(config))
    with (place / "log").open("w") as log:
        process = subprocess.Popen(["Orthanc", str(place / "orthanc.json")], stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            # The last has the SOP Instance UID of the first, in a study of its own.
            files = [path.read_bytes() for path in FILES]
            files.append(in_another_study(files[0]))
            with httpx.Client(base_url=url, auth=(USER, PASSWORD), timeout=PATIENCE) as client:
                wait_until_it_answers(client)
                for file in files:
                    assert client.post("/instances", content=file).status_code == 200
            yield url, place / "storage", files
        finally:
            process.kill()
            process.wait()


def in_another_study(file):
    data, copy = dcmread(BytesIO(file)), BytesIO()
    data.StudyInstanceUID, data.SeriesInstanceUID = "2.25.17", "2.25.18"
    data.save_as(copy)
    return copy.getvalue()


def wait_until_it_answers(client):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("/system").raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """The config file of an archive with nothing in it."""
    monkeypatch.setenv("ORTHANC_PASSWORD", PASSWORD)
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    return config


def take_over(config, place, *more):
    arguments = ["--from-orthanc", str(place), "--orthanc-user", USER, "--config", str(config)]
    return main(["import", *arguments, *more])


def instances(config):
    found = (path for path in (config.parent / "data" / "objects").rglob("*") if path.is_file())
    return by_path(map(dcmread, found))


def by_path(data):
    return {(each.StudyInstanceUID, each.SOPInstanceUID): each for each in data}


def test_all_is_taken_from_the_server_and_nothing_twice(orthanc, archive, capsys):
    url, _, files = orthanc
    assert take_over(archive, url) == 0
    assert capsys.readouterr().out == f"{len(files)} instances stored\n"
    assert instances(archive) == by_path(dcmread(BytesIO(file)) for file in files)
    assert take_over(archive, f"{url}/") == 0
    assert capsys.readouterr().out == f"0 instances stored, {len(files)} known\n"
    assert main(["index", "verify", "--config", str(archive)]) == 0


def test_all_is_taken_from_the_folder_of_a_server_that_does_not_run(
    orthanc, archive, tmp_path, capsys
):
    _, folder, files = orthanc
    assert take_over(archive, folder) == 1
    assert "while the server runs, give its URL instead" in capsys.readouterr().err
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert take_over(archive, copy) == 0
    assert capsys.readouterr().out == f"{len(files)} instances stored\n"
    assert len(instances(archive)) == len(files)


def test_what_is_damaged_is_named_and_the_rest_is_taken(orthanc, archive, tmp_path, capsys):
    _, folder, files = orthanc
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with closing(sqlite3.connect(copy / "index")) as index:
        found = index.execute("SELECT uuid FROM AttachedFiles WHERE fileType = 1 ORDER BY id")
        flipped, cut, gone, named = [row[0] for row in found.fetchmany(4)]
        index.execute("UPDATE AttachedFiles SET uuid = '../../x' WHERE uuid = ?", (named,))
        index.execute(
            "UPDATE AttachedFiles SET uncompressedMD5 = ? WHERE uuid = ?", ("0" * 32, flipped)
        )
        index.commit()
    path = copy / cut[:2] / cut[2:4] / cut
    path.write_bytes(path.read_bytes()[:-50])
    (copy / gone[:2] / gone[2:4] / gone).unlink()
    assert take_over(archive, copy) == 1
    told = capsys.readouterr()
    assert told.out == f"{len(files) - 4} instances stored, 4 failed\n"
    for uuid, reason in {
        flipped: "it is damaged in Orthanc: its MD5 is ",
        cut: "it cannot be read: ",
        gone: "it cannot be read: [Errno 2]",
        "../../x": "the index of Orthanc names it by no UUID",
    }.items():
        assert f"{uuid}: {reason}" in told.err
    # Mended, the import goes on.
    shutil.copy(folder / gone[:2] / gone[2:4] / gone, copy / gone[:2] / gone[2:4] / gone)
    assert take_over(archive, copy) == 1
    assert capsys.readouterr().out == f"1 instance stored, 3 failed, {len(files) - 4} known\n"


def test_what_is_no_orthanc_is_told(orthanc, archive, tmp_path, monkeypatch, capsys):
    url, _, _ = orthanc
    monkeypatch.setenv("ORTHANC_PASSWORD", "wrong")
    for place, reason in {
        url: "answers 401 Unauthorized: give --orthanc-user and $ORTHANC_PASSWORD",
        f"http://127.0.0.1:{find_free_port()}": "does not answer: ",
        tmp_path / "nowhere": "is no storage folder of Orthanc",
    }.items():
        assert take_over(archive, place) == 1
        assert reason in capsys.readouterr().err
    assert take_over(archive, url, "file.dcm") == 2
    (tmp_path / "index").write_text("no database")
    assert take_over(archive, tmp_path) == 1
    assert "file is not a database" in capsys.readouterr().err
