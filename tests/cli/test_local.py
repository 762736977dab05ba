"""import, index and delete on an archive without a node."""

import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from pacs_core.dataset import scan_file, texts

NAMES = ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm"]


@pytest.fixture
def files(samples: Path) -> list[Path]:
    return [samples / name for name in NAMES]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def objects(data: Path) -> list[Path]:
    return sorted(data.rglob("*.dcm"))


def test_import_is_idempotent(pacs, data: Path, files: list[Path], dataset_of) -> None:
    first = pacs("import", "--data", data, *files)
    assert (first.code, first.out) == (0, "3 instances stored\n")
    assert {dataset_of(path) for path in objects(data)} == {dataset_of(path) for path in files}
    again = pacs("import", "--data", data, *files)
    assert (again.code, again.out) == (0, "0 instances stored, 3 identical\n")


def test_import_names_failures(pacs, data: Path, files: list[Path], samples: Path) -> None:
    truncated, notes = samples / "MR_truncated.dcm", samples / "README.txt"
    result = pacs("import", "--data", data, files[0], truncated, notes)
    assert (result.code, result.out) == (1, "1 instance stored, 2 failed\n")
    assert f"pacs: {truncated}: malformed dataset" in result.err
    assert f"pacs: {notes}: not a DICOM file" in result.err


def test_import_is_audited(pacs, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    text = "".join(path.read_text() for path in data.rglob("audit.jsonl"))
    events = [json.loads(line) for line in text.splitlines()]
    assert [event for event in events if "import" in event.values()]


def test_verify_and_rebuild(pacs, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    assert pacs("index", "verify", "--data", data).out == "0 faults, 0 set aside\n"
    lost, orphan, _ = objects(data)
    uid = texts(scan_file(lost, {0x0008_0018}).attributes, 0x0008_0018)[0]
    lost.unlink()
    result = pacs("index", "verify", "--data", data)
    assert result.code == 1
    missing, summary = result.out.splitlines()
    assert missing.split()[0] == "missing"
    assert uid in missing
    assert summary == "1 fault, 0 set aside"
    rebuilt = pacs("index", "rebuild", "--data", data)
    summary = "2 objects: 2 indexed, 0 set aside, 0 unreadable\n"
    assert (rebuilt.code, rebuilt.out) == (0, summary)
    assert pacs("index", "verify", "--data", data).code == 0
    orphan.write_bytes(b"spoilt")
    spoilt = pacs("index", "rebuild", "--data", data)
    assert spoilt.code == 1
    assert spoilt.out.startswith("unreadable")


def test_delete(pacs, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    study = texts(scan_file(files[0], {0x0020_000D}).attributes, 0x0020_000D)[0]
    would = pacs("delete", "--data", data, "--study", study)
    assert (would.code, would.out) == (0, "1 instance would be deleted; add --yes to do it\n")
    assert len(objects(data)) == 3
    done = pacs("delete", "--data", data, "--study", study, "--yes")
    assert (done.code, done.out) == (0, "1 instance deleted\n")
    assert len(objects(data)) == 2
    gone = pacs("delete", "--data", data, "--study", study, "--yes")
    assert gone.code == 1
    assert "the archive holds nothing of that" in gone.err


def test_nothing_is_deleted_by_an_index_that_is_not_whole(
    pacs, data: Path, files: list[Path]
) -> None:
    """What it lacks would come back with the rebuild; one of a former version may hold others'."""
    pacs("import", "--data", data, *files)
    study = texts(scan_file(files[0], {0x0020_000D}).attributes, 0x0020_000D)[0]
    with closing(sqlite3.connect(data / "index.sqlite")) as connection:
        connection.execute("INSERT INTO gap VALUES ('it mixes up patients')")
        connection.commit()
    refused = pacs("delete", "--data", data, "--study", study, "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "nothing is deleted by an index that is not whole" in refused.err
    assert "it mixes up patients; run `pacs index rebuild`" in refused.err
    assert len(objects(data)) == 3
    assert pacs("index", "rebuild", "--data", data).code == 0
    assert pacs("delete", "--data", data, "--study", study, "--yes").code == 0
    assert len(objects(data)) == 2


def test_without_an_archive(pacs, tmp_path: Path, files: list[Path]) -> None:
    disabled = ["store-filesystem", "store-cloud", "store-tiered"]
    disabled += ["index-sqlite", "index-postgresql"]
    (tmp_path / "pacs.toml").write_text(f"[plugins]\ndisabled = {disabled}\n")
    for command in (["import", files[0]], ["index", "verify"], ["delete", "--study", "1.2"]):
        result = pacs(*command)
        assert result.code == 1
        assert "pip install pacs-store-filesystem pacs-index-sqlite" in result.err


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])


def test_verify_content_names_what_is_damaged(pacs, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    sound = pacs("index", "verify", "--content", "--data", data)
    assert sound.code == 0
    assert sound.out.startswith("3 instances read (")
    assert sound.out.endswith(
        "0 damaged, 0 without a digest or not online\n0 faults, 0 set aside\n"
    )
    damage(objects(data)[1])
    # Structure alone does not show it.
    assert pacs("index", "verify", "--data", data).code == 0
    found = pacs("index", "verify", "--content", "--rate", "0", "--data", data)
    assert found.code == 1
    assert found.out.splitlines()[0].startswith(
        f"damaged  {objects(data)[1].relative_to(data / 'objects')}"
    )
    assert found.out.splitlines()[-1] == "1 fault, 0 set aside"
    audit = (data / "audit" / "audit.jsonl").read_text()
    assert "instance-damaged" in audit


def test_verify_content_reads_what_was_set_aside(pacs, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    other = data.parent / "other.dcm"
    other.write_bytes(files[0].read_bytes().replace(b"CompressedSamples", b"CompressedSamplez"))
    assert "1 set-aside" in pacs("import", "--data", data, other).out
    (aside,) = [path for path in objects(data) if "-" in path.stem]
    assert pacs("index", "verify", "--content", "--data", data).code == 0
    damage(aside)
    found = pacs("index", "verify", "--content", "--data", data)
    assert found.code == 1
    assert any(line.startswith("damaged") for line in found.out.splitlines())


def test_verify_content_goes_on_where_it_was(pacs, spawn, data: Path, files: list[Path]) -> None:
    pacs("import", "--data", data, *files)
    command = ["index", "verify", "--content", "--data", str(data)]
    # So slow that it will not end.
    process = spawn(*command, "--rate", "0.01")
    state = data / "verify-content.json"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    going_on = pacs(*command)
    assert going_on.code == 0
    assert going_on.out.startswith("going on after 1 instance, 0 damaged\n3 instances read")
    assert not state.exists()
    assert "going on" not in pacs(*command, "--restart").out


def test_verify_content_wants_a_rate_that_is_one(pacs, data: Path) -> None:
    for rate in ("-1", "nan", "inf"):
        assert pacs("index", "verify", "--content", "--rate", rate, "--data", data).code == 2
