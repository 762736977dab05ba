"""Commands for folders: in several processes they say and write what one says and writes."""

import filecmp
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian

from pacs_core.api.file_commands import NOTHING

CT = Path(get_testdata_file("CT_small.dcm"))
UID = b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
NUMBER = 40
FILES = NUMBER + 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with many files, one of them damaged, and one that is none."""
    path = tmp_path_factory.mktemp("files")
    content = CT.read_bytes()
    (path / "below").mkdir()
    for number in range(NUMBER):
        name = f"{'below/' if number % 3 else ''}{number:02}.dcm"
        (path / name).write_bytes(content.replace(UID, UID[:-2] + b"%02d" % number))
    (path / "below" / "05a.dcm").write_bytes(content[:3000])
    (path / "notes.txt").write_text("nothing of DICOM")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["dump", "--tag", "PatientName", "--tag", "SOPInstanceUID"],
        ["info"],
        ["info", "--by", "study", "--json"],
        ["validate", "--json"],
        ["modify", "--set", "PatientID=4711", "--dry-run"],
    ],
)
def test_what_is_printed_is_the_same(run, folder, words):
    one, several = (run(*words, folder, "--jobs", jobs) for jobs in (1, 2))
    assert several == one
    assert several[0] == 1
    assert several[2].count("\n") == (words[0] != "validate")  # whose findings are its output
    assert f"{folder}/below/05a.dcm" in several[1] + several[2]


@pytest.mark.parametrize(
    "words",
    [
        ["modify", "--set", "PatientID=4711", "--output"],
        ["merge-patient", "--from", "1CT1", "--into", "0815", "--like", "like.dcm", "--output"],
        ["json", "--without-pixel-data"],
        ["xml", "--bulk", "values"],
    ],
)
def test_what_is_written_is_the_same(run, folder, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("modify", CT, "--set", "PatientID=0815", "--output", "like")
    Path("like/CT_small.dcm").rename("like.dcm")
    command, *options = words
    for jobs in (1, 2):
        target = f"out{jobs}"
        line = [command, *options, target, folder] if command[0] == "m" else (
            [command, folder, target, *options])  # fmt: skip
        code, out, err = run(*line, "--jobs", jobs)
        assert (code, out) == (1, f"{NUMBER} files written\n")
        assert "05a.dcm: damaged" in err
    if command != "merge-patient":  # which notes the time
        compared = filecmp.dircmp("out1", "out2")
        assert not compared.diff_files + compared.subdirs["below"].diff_files
    assert len(list(Path("out2").rglob("*.*"))) == NUMBER


@pytest.mark.parametrize("form", ["paths", "csv", "json"])
def test_files_are_found_in_their_order(run, folder, form):
    words = ["find-files", folder, "--key", "SOPInstanceUID", "--format", form, "--jobs"]
    one, several = (run(*words, jobs) for jobs in (1, 2))
    assert several == one
    assert one[0] == 0
    assert one[1].count("\n") > NUMBER


def test_reports_are_printed_in_their_order(run, tmp_path):
    report = Path(get_testdata_file("test-SR.dcm")).read_bytes()
    for number in range(NUMBER):
        (tmp_path / f"{number:02}.dcm").write_bytes(report if number % 2 else CT.read_bytes())
    for form in ("tree", "text", "csv"):
        one, several = (run("sr", tmp_path, "--format", form, "--jobs", jobs) for jobs in (1, 2))
        assert several == one
        assert several[0] == 0
        assert several[1].count("\n") > NUMBER
    assert run("sr", tmp_path, "--format", "html")[0] == 2


def test_frames_are_split_alike_by_several_processes(run, tmp_path):
    source = dcmread(get_testdata_file("SC_rgb_rle_2frame.dcm"))
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7.4"
    pixels = np.arange(NUMBER * 8 * 6 * 3, dtype="<u2").astype("u1")
    source.Rows, source.Columns, source.NumberOfFrames = 8, 6, NUMBER
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source.PlanarConfiguration, source.PixelData = 0, pixels.tobytes()
    source.FrameIncrementPointer = None
    source.save_as(tmp_path / "many.dcm", enforce_file_format=True)
    for jobs in (1, 2):
        code, _, err = run(
            "split", tmp_path / "many.dcm", "-o", tmp_path / f"{jobs}", "--jobs", jobs
        )
        assert (code, err) == (0, "")
        made = [dcmread(path) for path in sorted((tmp_path / f"{jobs}").iterdir())]
        assert b"".join(each.PixelData for each in made) == pixels.tobytes()
        assert len({each.SeriesInstanceUID for each in made}) == 1


def test_models_of_a_folder_become_its_files_again(run, folder, tmp_path):
    run("json", folder, tmp_path / "models", "--bulk", tmp_path / "values")
    model = json.loads((tmp_path / "models" / "below" / "01.dcm.json").read_text())
    assert model["7FE00010"]["BulkDataURI"] == "7FE00010.bin"
    assert (tmp_path / "values" / "below" / "01.dcm" / "7FE00010.bin").stat().st_size == 32768
    again = tmp_path / "again"
    code, out, err = run("json", tmp_path / "models", again, "--bulk", tmp_path / "values")
    assert (code, out, err) == (0, f"{NUMBER} files written\n", "")
    for number in (0, 1, 39):
        below = f"{'below/' if number % 3 else ''}{number:02}.dcm"
        assert run("diff", folder / below, again / below)[0] == 0
    code, _, err = run("json", folder / "below", tmp_path / "models" / "below")
    assert code == 1
    assert err.count("\n") == len(list((folder / "below").iterdir()))
    code, out, err = run("json", folder)
    assert (code, out) == (2, "")
    assert "name the folder to write to" in err
    (tmp_path / "empty").mkdir()
    assert run("json", tmp_path / "empty", again)[0] == NOTHING


def test_what_is_written_into_the_folder_is_not_read_again(run, folder, tmp_path):
    (tmp_path / "a.dcm").write_bytes(CT.read_bytes())
    for _ in range(2):
        code, out, _ = run("modify", tmp_path, "--set", "PatientID=1", "--overwrite",
                           "--output", tmp_path / "out")  # fmt: skip
        assert (code, out) == (0, "1 file written\n")


@pytest.mark.skipif(sys.platform != "linux", reason="one process does it all elsewhere")
def test_an_interrupt_ends_all_processes(folder):
    line = [sys.executable, "-m", "pacs_core.cli", "dump", *[folder] * 50, "--jobs", "2"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline()  # and read no further, so that it cannot end by itself
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


BARS = {
    "dump": (["dump"], True), "sums": (["info", "--by", "study"], False),
    "table": (["find-files", "--key", "PatientID", "--format", "table"], False),
    "dry run": (["modify", "--set", "PatientID=1", "--dry-run"], True),
    "modify": (["modify", "--new-uids", "study", "--output", "changed"], False),
    "json": (["json", "models", "--bulk", "values"], False),
}  # fmt: skip
"""Command lines, and whether they print for each file."""


@pytest.mark.parametrize("name", BARS)
def test_a_terminal_shows_a_bar_where_nothing_is_printed(folder, tmp_path, name):
    """It is on standard error; what is printed goes where it goes without."""
    words, prints = BARS[name]
    words.insert(1, str(folder))
    line = [sys.executable, "-m", "pacs_core.cli", *words, "--jobs", "2"]
    plain = subprocess.run(line, capture_output=True, check=False, cwd=tmp_path)
    for kept in tmp_path.iterdir():
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    for is_seen in (False, True):
        if is_seen and not prints:
            continue
        ours, theirs = pty.openpty()
        with (
            (tmp_path / "printed").open("wb") as printed,
            subprocess.Popen(
                line, cwd=tmp_path, stdout=theirs if is_seen else printed, stderr=theirs,
                env={**os.environ, "TERM": "xterm", "COLUMNS": "300"},
            ) as process,
        ):  # fmt: skip
            os.close(theirs)
            shown = read_terminal(ours)
        assert process.returncode == plain.returncode
        assert is_seen or (tmp_path / "printed").read_bytes() == plain.stdout
        assert (f"{FILES}/{FILES}".encode() in shown) == (not is_seen)


def read_terminal(descriptor):
    """Return all that a process writes to its terminal; its end is an error on Linux."""
    shown = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal, suppress(OSError):
        while block := terminal.read(1 << 16):
            shown += block
    return shown
