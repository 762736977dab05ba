"""echo, store, find, get and move against a node."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from pacs_core.dataset import scan_file, texts

NAMES = [
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
    "liver_1frame.dcm",
]
CT_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
CT_SERIES = "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
CT_INSTANCE = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
FILE_SET = "1.2.826.0.1.3680043.8.498.64108189007039777171766333999874882472"
FILES_IN_SET = 50


@pytest.fixture(scope="module")
def stored(node, samples: Path, spawn_once):
    """The module's node, which holds the samples."""
    files = [str(samples / name) for name in NAMES]
    result = spawn_once("store", node.peer, *files, str(samples / "dicomdirtests"))
    assert result.returncode in (0, 1), result.stderr
    return node


@pytest.fixture
def peer(stored) -> str:
    return stored.peer


@pytest.fixture(scope="module")
def strict(serve, tmp_path_factory):
    """A node that refuses queries without the unique keys above, and many matches, as peers do."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "pacs.toml").write_text(
        '[plugin.sop-query-retrieve]\nrelational = "strict"\nmax_results = 1\n'
    )
    arguments = ("--data", str(folder / "data"), "--config", str(folder / "pacs.toml"))
    with serve(*arguments) as server:
        yield server


def test_echo(pacs, node) -> None:
    result = pacs("echo", node.peer, "--count", 3)
    assert result.code == 0
    assert len(result.out.splitlines()) == 3


def test_echo_by_the_name_of_a_peer(pacs, node, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(
        f'[peers.here]\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {node.port}\n'
    )
    assert pacs("echo", "here").code == 0


def test_store_skips_what_is_no_dicom_in_folders_only(pacs, node, samples, tmp_path) -> None:
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    shutil.copy(samples / "CT_small.dcm", folder)
    shutil.copy(samples / "dicomdirtests" / "DICOMDIR", folder)
    (folder / "notes.txt").write_text("no instance")
    (folder / "empty").touch()
    result = pacs("store", node.peer, tmp_path / "folder")
    assert (result.code, result.out) == (0, "1 instance stored, 3 skipped\n")
    named = pacs("store", node.peer, folder / "notes.txt", folder, tmp_path / "nowhere.dcm")
    assert named.code == 1
    assert named.out == "1 instance stored, 2 failed, 3 skipped\n"
    reasons = dict(line.removeprefix("pacs: ").split(": ", 1) for line in named.err.splitlines())
    assert "not a DICOM file" in reasons[str(folder / "notes.txt")]
    assert reasons[str(tmp_path / "nowhere.dcm")] == "No such file or directory"


def test_a_named_pipe_does_not_block(pacs, node, tmp_path: Path) -> None:
    pipe = tmp_path / "folder" / "pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    result = pacs("store", node.peer, pipe.parent)
    assert (result.code, result.out) == (3, "0 instances stored, 1 skipped\n")
    result = pacs("store", node.peer, pipe)
    assert (result.code, result.err) == (1, f"pacs: {pipe}: no regular file\n")


def test_store_names_what_the_peer_refuses(pacs, node, samples: Path) -> None:
    result = pacs("store", node.peer, samples / "MR_truncated.dcm", samples / "CT_small.dcm")
    assert (result.code, result.out) == (1, "1 instance stored, 1 failed\n")
    assert "MR_truncated.dcm: C000H failed: " in result.err


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm"])
def test_a_dataset_without_file_meta_information(
    pacs, node, samples: Path, tmp_path: Path, dataset_of, name: str
) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(dataset_of(samples / name))
    result = pacs("store", node.peer, raw)
    assert (result.code, result.out) == (0, "1 instance stored\n")


@pytest.mark.parametrize("window", [1, 8])
def test_many_associations(pacs, peer: str, samples: Path, window: int) -> None:
    folder = samples / "dicomdirtests"
    arguments = ("--associations", 3, "--window", window)
    result = pacs("store", peer, folder / "77654033", folder / "98892001", *arguments)
    stored_files = [p for f in ("77654033", "98892001") for p in (folder / f).rglob("*/*")]
    count = sum(path.is_file() for path in stored_files)
    assert (result.code, result.out) == (0, f"{count} instances stored\n")


GATE = """
import anyio
from pacs_core.contracts import (
    Response, ServiceProvider, ServiceProviderDescriptor, SopClassSupport
)
from pacs_core.plugins import hookimpl

class Gate(ServiceProvider):
    def __init__(self):
        self.waiting = 0
        self.opened = anyio.Event()

    async def handle(self, operation):
        async for _ in operation.dataset:
            pass
        self.waiting += 1
        if self.waiting == 3:
            self.opened.set()
        await self.opened.wait()
        return Response(0)

@hookimpl
def pacs_service_providers(setup):
    sop_classes = {"1.2.826.0.1.3680043.9.9.9": SopClassSupport()}
    return [ServiceProviderDescriptor("gate", sop_classes, lambda node: Gate())]
"""


def test_stores_overlap_on_one_association(
    pacs, serve, plugin, copies: list[Path], tmp_path: Path
) -> None:
    for path in copies:
        content = path.read_bytes()
        path.write_bytes(
            content.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.826.0.1.3680043.9.9.9")
        )
    environment = os.pathsep.join(
        filter(None, [plugin("gate", GATE), os.environ.get("PYTHONPATH")])
    )
    with serve("--data", str(tmp_path / "data"), PYTHONPATH=environment) as gate:
        result = pacs("store", gate.peer, *copies, "--window", 3, "--timeout", 20)
    assert (result.code, result.out) == (0, "5 instances stored\n")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_comes_back_byte_for_byte(
    pacs, peer: str, samples: Path, tmp_path: Path, dataset_of, name: str
) -> None:
    original = samples / name
    tags = {0x0020_000D: "study", 0x0020_000E: "series", 0x0008_0018: "instance"}
    found = scan_file(original, tags)
    study, series, instance = (texts(found.attributes, tag)[0] for tag in tags)
    result = pacs("get", peer, "-k", f"StudyInstanceUID={study}", "-o", tmp_path / "out")
    assert result.code == 0
    received = tmp_path / "out" / study / series / f"{instance}.dcm"
    assert dataset_of(received) == dataset_of(original)
    again = scan_file(received, ())
    assert again.meta.transfer_syntax_uid == found.meta.transfer_syntax_uid
    assert again.meta.sop_instance_uid == instance
    assert not list((tmp_path / "out").glob("*.part"))


def test_a_file_that_is_not_sent_in_one_piece(
    pacs, node, samples: Path, tmp_path: Path, dataset_of
) -> None:
    padding = b"\xfc\xff\xfc\xffOB\0\0" + (5 << 20).to_bytes(4, "little") + bytes(5 << 20)
    study, series, instance = (uid[:-1] + "9" for uid in (CT_STUDY, CT_SERIES, CT_INSTANCE))
    # All of these UIDs end alike; another patient, study and series keep out of the other tests.
    content = (samples / "CT_small.dcm").read_bytes().replace(b"CT1", b"XX9")
    large = tmp_path / "large.dcm"
    large.write_bytes(content.replace(b".12322", b".12329") + padding)
    assert pacs("store", node.peer, large).code == 0
    result = pacs("get", node.peer, "-k", f"StudyInstanceUID={study}", "-o", tmp_path)
    assert (result.code, result.out) == (0, "1 received, 0 failed\n")
    received = tmp_path / study / series / f"{instance}.dcm"
    assert dataset_of(received) == dataset_of(large)


@pytest.mark.parametrize(
    "keys",
    [
        [f"StudyInstanceUID={FILE_SET}"],
        ["PatientID=12345678"],
    ],
)
def test_get_at_each_level(pacs, peer: str, tmp_path: Path, keys: list[str]) -> None:
    typed = [argument for key in keys for argument in ("-k", key)]
    result = pacs("get", peer, *typed, "-o", tmp_path / "out")
    assert (result.code, result.out) == (0, f"{FILES_IN_SET} received, 0 failed\n")
    assert len(list((tmp_path / "out" / FILE_SET).glob("*/*.dcm"))) == FILES_IN_SET


def test_get_one_series_and_one_instance(pacs, peer: str, tmp_path: Path) -> None:
    keys = ["-k", f"StudyInstanceUID={CT_STUDY}", "-k", f"SeriesInstanceUID={CT_SERIES}"]
    file = tmp_path / CT_STUDY / CT_SERIES / f"{CT_INSTANCE}.dcm"
    for more in ([], ["-k", f"SOPInstanceUID={CT_INSTANCE}"]):
        result = pacs("get", peer, *keys, *more, "--output", tmp_path)
        assert (result.code, result.out) == (0, "1 received, 0 failed\n")
        file.unlink()


def test_get_says_what_the_peer_says(pacs, strict, tmp_path: Path) -> None:
    result = pacs("get", strict.peer, "-k", "SeriesInstanceUID=1.2.3", "-o", tmp_path)
    assert result.code == 1
    assert "A900H" in result.err
    assert result.err.endswith("at level series only with -k StudyInstanceUID=...\n")


def test_to_get_nothing_is_said(pacs, peer: str, tmp_path: Path) -> None:
    result = pacs("get", peer, "-k", "StudyInstanceUID=1.2.3", "-o", tmp_path / "out")
    assert (result.code, result.out) == (3, "0 received, 0 failed\n")
    assert result.err == f"pacs: there is nothing to do: {peer}: nothing matches\n"


def test_get_where_nothing_can_be_written(pacs, peer: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    key = f"StudyInstanceUID={CT_STUDY}"
    result = pacs("get", peer, "-k", key, "-o", tmp_path / "file" / "out")
    assert result.code == 1
    assert f"instance {CT_INSTANCE}: Not a directory" in result.err


def test_find_as_a_table(pacs, peer: str) -> None:
    result = pacs("find", peer, "-k", "PatientName=Comp*ct1")
    assert result.code == 0
    header, row = result.out.splitlines()
    assert header.split()[:2] == ["PatientName", "PatientID"]
    assert row.split()[0] == "CompressedSamples^CT1"
    assert row.index("1CT1") == header.index("PatientID")
    assert result.err == "pacs: 1 match\n"


def test_find_as_json(pacs, peer: str) -> None:
    keys = ["-k", "PatientID=1CT1", "-k", "StudyDate=20040101-20041231"]
    (match,) = json.loads(pacs("find", peer, *keys, "--format", "json").out)
    assert match["StudyInstanceUID"] == CT_STUDY
    assert match["AccessionNumber"] is None
    assert json.loads(pacs("find", peer, "-k", "PatientID=?", "--format", "json").out) == []


def test_find_as_csv_with_the_keys_asked_for(pacs, peer: str) -> None:
    keys = ["-k", "PatientID=1CT1", "-k", "PatientName", "-k", "StudyDate"]
    rows = list(csv.reader(io.StringIO(pacs("find", peer, *keys, "--format", "csv").out)))
    assert rows == [
        ["PatientID", "PatientName", "StudyDate", "StudyInstanceUID"],
        ["1CT1", "CompressedSamples^CT1", "20040119", CT_STUDY],
    ]


def test_find_within_a_sequence(pacs, peer: str) -> None:
    keys = ["-k", f"StudyInstanceUID={CT_STUDY}"]
    path = "RequestAttributesSequence.ScheduledProcedureStepID"
    result = pacs("find", peer, "--level", "series", *keys, "-k", f"{path}=7", "--format", "json")
    assert (result.code, json.loads(result.out)) == (0, [])


def test_find_at_every_level(pacs, peer: str) -> None:
    keys = ["-k", f"StudyInstanceUID={CT_STUDY}", "-k", f"SeriesInstanceUID={CT_SERIES}"]
    found = json.loads(pacs("find", peer, "--level", "image", *keys, "--format", "json").out)
    assert [match["SOPInstanceUID"] for match in found] == [CT_INSTANCE]
    patients = pacs("find", peer, "--level", "patient", "-k", "PatientID=1CT1", "--format", "json")
    assert json.loads(patients.out)[0]["PatientName"] == "CompressedSamples^CT1"


def test_find_stops_at_the_limit(pacs, peer: str) -> None:
    result = pacs("find", peer, "--limit", 2, "--format", "json")
    assert result.code == 4
    assert len(json.loads(result.out)) == 2
    assert result.err == "pacs: 2 matches; there are more: --limit cut them off\n"
    result = pacs("find", peer, "--limit", 1, "-k", f"StudyInstanceUID={CT_STUDY}")
    assert (result.code, result.err) == (0, "pacs: 1 match\n")


def test_find_says_what_the_peer_says(pacs, strict) -> None:
    for arguments, hint in (
        (["--level", "series"], "-k StudyInstanceUID=..."),
        (["--level", "image"], "-k StudyInstanceUID=... -k SeriesInstanceUID=..."),
        (["--level", "image", "-k", "StudyInstanceUID=1.2"], "-k SeriesInstanceUID=..."),
        (["--root", "patient"], "-k PatientID=..."),
    ):
        result = pacs("find", strict.peer, *arguments)
        assert (result.code, result.out) == (1, "")
        assert "the query failed: A900H" in result.err
        assert result.err.endswith(f" only with {hint}\n")


def test_a_query_that_finds_nothing_is_done(pacs, peer: str) -> None:
    result = pacs("find", peer, "-k", "PatientID=nobody")
    assert (result.code, result.out, result.err) == (0, "", "pacs: 0 matches\n")
    result = pacs("find", peer, "--level", "series", "-k", "Modality=XC")
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith("at level series only with -k StudyInstanceUID=...\n")


@pytest.mark.parametrize("kind", ["table", "csv", "json"])
def test_matches_before_a_failure_are_printed(pacs, strict, samples: Path, kind: str) -> None:
    """PS3.4 Table C.4-1, A700H: there are more than the peer returns."""
    assert pacs("store", strict.peer, samples / "CT_small.dcm", samples / "rtplan.dcm").code == 0
    result = pacs("find", strict.peer, "-k", "PatientID", "--format", kind)
    assert result.code == 1
    assert "the query failed: A700H" in result.err
    if kind == "json":
        assert len(json.loads(result.out)) == 1
    else:
        assert len(result.out.splitlines()) == 2


def test_find_without_the_keys_above(pacs, peer: str) -> None:
    """PS3.4 C.4.1.2.2.2: the default answers a relational query that was not negotiated."""
    keys = ["-k", "SeriesDescription", "-k", "Modality=RTPLAN"]
    result = pacs("find", peer, "--level", "series", *keys)
    assert (result.code, result.err) == (0, "pacs: 1 match\n")


def test_move_to_an_unknown_destination(pacs, peer: str) -> None:
    result = pacs("move", peer, "--to", "NOWHERE", "-k", f"StudyInstanceUID={CT_STUDY}")
    assert result.code == 1
    assert "A801H" in result.err
