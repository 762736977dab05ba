"""``pacs listen`` and ``pacs bench``, with DCMTK's programs as their other ends."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pacs_tools.load import histogram, quantiles
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.api.commands import main
from pacs_core.dataset import read_file_meta
from pacs_core.testing.peer_programs import PeerPrograms, find_free_port

CT = Path(get_testdata_file("CT_small.dcm"))
JPEG = Path(get_testdata_file("JPEG2000.dcm"))


@contextmanager
def listening(output, *arguments):
    """Run ``pacs listen``; yield its port, and a list that has what it printed afterwards."""
    command = [sys.executable, "-m", "pacs_core.cli", "listen", "--port", "0", "-o", str(output)]
    process = subprocess.Popen(
        [*command, "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines: list = []
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"], lines
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        lines += map(json.loads, out.splitlines())
        lines.append((process.returncode, err))


def dataset_of(path):
    data = path.read_bytes()
    return data[read_file_meta(data).dataset_offset :]


@pytest.fixture
def programs(tmp_path):
    return PeerPrograms(tmp_path)


def send(programs, port, *arguments):
    process = programs.start("storescu", *arguments, "127.0.0.1", port, *map(str, (CT, JPEG)))
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_what_storescu_sends_is_written_as_it_came(programs, tmp_path):
    output = tmp_path / "in"
    other = tmp_path / "other.dcm"
    file = dcmread(CT)
    file.PatientName = "Other"
    file.save_as(other)
    with listening(output) as (port, lines):
        assert send(programs, port, "-xs", "-R", "-aet", "MODALITY")[0] in {0, 1}
        assert main(["store", f"ANY@127.0.0.1:{port}", str(CT), str(JPEG), str(CT)]) == 0
        assert main(["store", f"ANY@127.0.0.1:{port}", str(other)]) == 0
        assert main(["echo", f"ANY@127.0.0.1:{port}"]) == 0
    study, series, uid = file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID
    path = output / study / series / f"{uid}.dcm"
    assert dcmread(path).PixelData == dcmread(CT).PixelData
    # What has the same UID and other bytes is beside it: storescu has encoded it anew.
    assert dataset_of(path.with_name(f"{uid}-1.dcm")) == dataset_of(CT)
    assert dataset_of(path.with_name(f"{uid}-2.dcm")) == dataset_of(other)
    ours = [each for each in lines[:-1] if each["from"] == "PACS"]
    assert [each["new"] for each in ours].count(False) == 1
    found = {str(each["sop_instance"]): Path(each["file"]) for each in ours}
    assert dataset_of(found[dcmread(JPEG).SOPInstanceUID]) == dataset_of(JPEG)
    assert lines[-1][0] == 0
    assert not list(output.rglob("*.part"))


NAMES = ("CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "test-SR.dcm", "rtplan.dcm")


def test_what_storescp_writes_is_written(programs, tmp_path):
    """What one sender sends to both is the same, to the byte, and has the same names of its own."""
    files = [str(CT.with_name(name)) for name in NAMES]
    theirs, port = tmp_path / "theirs", find_free_port()
    theirs.mkdir()
    with (
        listening(tmp_path / "ours", "--layout", "flat") as (our_port, _),
        programs.serve("storescp", port, "-od", theirs, "--accept-all", "--bit-preserving", "-uf"),
    ):
        for receiver in (our_port, port):
            assert main(["store", f"ANY@127.0.0.1:{receiver}", *files]) == 0
    ours = {dcmread(path).SOPInstanceUID: path for path in (tmp_path / "ours").iterdir()}
    received = {dcmread(path).SOPInstanceUID: path for path in theirs.iterdir()}
    assert len(received) == len(files)
    assert ours.keys() == received.keys()
    for uid, path in ours.items():
        assert dataset_of(path) == dataset_of(received[uid])
        ours_meta, their_meta = dcmread(path).file_meta, dcmread(received[uid]).file_meta
        assert ours_meta.TransferSyntaxUID == their_meta.TransferSyntaxUID
        assert ours_meta.MediaStorageSOPClassUID == their_meta.MediaStorageSOPClassUID
        assert ours_meta.SourceApplicationEntityTitle == their_meta.SourceApplicationEntityTitle


def test_options_say_what_is_taken_and_where_it_goes(programs, tmp_path):
    output = tmp_path / "in"
    options = ["--ae-title", "INBOX", "--only-called", "--layout", "study", "-t", "implicit"]
    with listening(output, *options) as (port, _):
        assert main(["store", f"OTHER@127.0.0.1:{port}", str(CT)]) == 1
        assert main(["store", f"INBOX@127.0.0.1:{port}", str(CT)]) == 0
    (path,) = output.rglob("*.dcm")
    assert path.parent.parent == output
    assert dcmread(path).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert dcmread(path).file_meta.SourceApplicationEntityTitle == "PACS"


def test_bench_measures_a_peer(programs, tmp_path, capsys):
    with listening(tmp_path / "in", "--layout", "flat") as (port, _):
        arguments = ["--count", "20", "--associations", "3", "--size", "16", "--json"]
        assert main(["bench", f"ANY@127.0.0.1:{port}", *arguments]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["bench", f"ANY@127.0.0.1:{port}", "--operation", "echo"]) == 0
        assert "200 operations in" in capsys.readouterr().out
    assert found["operations"] == sum(number for _, number in found["histogram"]) == 20
    assert found["failures"] == {}
    assert found["latency_ms"]["min"] <= found["latency_ms"]["p50"] <= found["latency_ms"]["max"]
    files = list((tmp_path / "in").glob("*.dcm"))
    assert len(files) == 20
    assert {dcmread(each).PatientID for each in files} == {"PACS-BENCH"}
    assert len({dcmread(each).StudyInstanceUID for each in files}) == 3
    assert main(["bench", f"ANY@127.0.0.1:{port}"]) == 1


@given(st.lists(st.floats(0.001, 1e6), max_size=30).map(sorted))
def test_figures_are_of_all_values(values):
    assert sum(number for _, number in histogram(values)) == len(values)
    if values:
        found = list(quantiles(values).values())
        assert found == sorted(found)
        assert set(found) <= set(values)
