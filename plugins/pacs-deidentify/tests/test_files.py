"""Files: `pacs deidentify` from outside, streaming, damaged input, and the proof."""

import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from shutil import which

import pytest
from attrs import frozen
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.leaks import find_leaks
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from pacs_core.api.commands import main

from .samples import SECRETS, make_instance, make_report

DEFLATED, IMPLICIT, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
PROFILE = Profile(pseudonyms=Pseudonyms(b"k" * 16))


@frozen
class Result:
    """What the command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys, tmp_path: Path, monkeypatch) -> Callable[..., Result]:
    """Run `pacs deidentify` with a key, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACS_CONFIG", raising=False)
    monkeypatch.setenv("PACS_DEIDENTIFY_KEY", "a key of some length")

    def run_command(*arguments: object) -> Result:
        capsys.readouterr()
        return Result(main(["deidentify", *map(str, arguments)]), *capsys.readouterr())

    return run_command


def save(path: Path, dataset: Dataset, syntax: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == JPEG:
        frames = [b"\xff\xd8\xff\xda\0\2" + each + b"\xff\xd9" for each in (b"one", b"two ")]
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].is_undefined_length = True
    if syntax == BIG:
        dataset.save_as(path, implicit_vr=False, little_endian=False)
    else:
        dataset.save_as(path, enforce_file_format=True)
    return path


def whole(path: Path) -> bytes:
    """Return all that a file holds, inflated."""
    content = path.read_bytes()
    if dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID != DEFLATED:
        return content
    start = len(content) - len(content.split(b"1.2.840.10008.1.2.1.99", 1)[1])
    for offset in range(start, start + 400):
        try:
            return content[:offset] + zlib.decompress(content[offset:], -15)
        except zlib.error:
            continue
    raise AssertionError("not deflated")


@pytest.mark.parametrize("syntax", ["", IMPLICIT, BIG, DEFLATED, JPEG])
def test_files_of_each_encoding(run, tmp_path: Path, syntax: str) -> None:
    source = save(tmp_path / "in" / "Ruiz Marisol.dcm", make_instance(), syntax)
    before = source.read_bytes()
    result = run(source, "out", "--report", "report.jsonl", "--json")
    assert (result.code, result.err) == (0, "")
    record = json.loads(result.out)
    assert (record["outcome"], record["leaks"]) == ("de-identified", [])
    made = tmp_path / "out" / record["target"]
    dataset, given = dcmread(made), dcmread(source)
    assert record["target"] == (
        f"{dataset.StudyInstanceUID}/{dataset.SeriesInstanceUID}/{dataset.SOPInstanceUID}.dcm"
    )
    assert dataset.file_meta.TransferSyntaxUID == given.file_meta.TransferSyntaxUID
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert bytes(dataset.PixelData) == bytes(given.PixelData)
    content = whole(made).lower()
    assert [text for text in SECRETS if text.lower().encode() in content] == []
    assert source.read_bytes() == before
    if dcmdump := which("dcmdump"):
        dumped = subprocess.run([dcmdump, "-q", made], capture_output=True, check=True)
        assert dumped.stderr == b""
    head, line = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    assert (head["edition"], head["profile"], head["options"]) == ("2026c", "basic", [])
    assert ["(0010,0020)", "Z"] in line["changes"]


def test_folders_are_gone_through_and_nothing_is_overwritten(
    run, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("pacs_core.cli.file_workers._FEW", 4)
    for number in range(10):
        dataset = make_instance(SOPInstanceUID=f"1.2.826.99.1.2.{number}")
        save(tmp_path / "in" / "a" / f"{number}", dataset)
    save(tmp_path / "in" / "b" / "report", make_report())
    (tmp_path / "in" / "notes.txt").write_text("for Ruiz, who is no instance")
    (tmp_path / "in" / "profile.icc").write_bytes(b"\0\0\x04\0appl" + bytes(range(256)) * 4)
    (tmp_path / "in" / "b" / "cut").write_bytes((tmp_path / "in" / "a" / "0").read_bytes()[:-20])
    first = run("in", "in/out", "--jobs", 2)
    assert first.code == 1
    assert first.out == "11 instances de-identified, 1 refused, 2 skipped\n"
    assert first.err == f"pacs: {Path('in/b/cut')}: it ends in the middle of its pixels\n"
    made = sorted((tmp_path / "in" / "out").rglob("*.dcm"))
    assert len(made) == 11
    (tmp_path / "in" / "b" / "cut").unlink()
    (tmp_path / "in" / "notes.txt").unlink()
    (tmp_path / "in" / "profile.icc").unlink()
    again = run("in", "in/out", "--jobs", 1)
    assert (again.code, again.out) == (1, "0 instances de-identified, 11 failed\n")
    assert "exists; replace it with --overwrite" in again.err
    assert run("in", "in/out", "--overwrite", "--jobs", 1).out == "11 instances de-identified\n"
    assert sorted((tmp_path / "in" / "out").rglob("*")) == sorted(
        {*made, *(parent for path in made for parent in (path.parent, path.parent.parent))}
    )


def test_the_key_makes_the_uids(run, tmp_path: Path, monkeypatch) -> None:
    source = save(tmp_path / "one.dcm", make_instance())
    targets = []
    (tmp_path / "key").write_text("another key, 16 at least\n")
    for name, arguments in (("a", ()), ("b", ()), ("c", ("--key-file", "key"))):
        targets.append(json.loads(run(source, name, "--json", *arguments).out)["target"])
    assert targets[0] == targets[1] != targets[2]
    monkeypatch.delenv("PACS_DEIDENTIFY_KEY")
    result = run(source, "d", "--json")
    assert result.err.startswith("pacs: no key is given")
    assert json.loads(result.out)["target"] not in targets
    (tmp_path / "key").write_text("short")
    result = run(source, "e", "--key-file", "key")
    assert (result.code, result.err) == (2, "pacs: the key has 5 characters; it needs 16\n")


def test_profiles_of_the_configuration(run, tmp_path: Path) -> None:
    source = save(tmp_path / "one.dcm", make_instance(BurnedInAnnotation="YES"))
    (tmp_path / "pacs.toml").write_text(
        """
        [plugin.deidentify]
        profile = "research"
        [plugin.deidentify.profiles.research]
        options = ["clean-pixel-data", "retain-modified-dates"]
        remove = ["KVP", "00180050"]
        [[plugin.deidentify.devices]]
        manufacturer = "ACME"
        regions = [[0, 0, 8, 2]]
        """
    )
    result = run(source, "out", "--json", "--config", "pacs.toml", "--option", "retain-uids")
    assert (result.code, result.err) == (0, "")
    made = dcmread(tmp_path / "out" / json.loads(result.out)["target"])
    assert bytes(made.PixelData) == bytes(32) + bytes(range(32, 128))
    assert (made.SOPInstanceUID, made.BurnedInAnnotation) == (make_instance().SOPInstanceUID, "NO")
    assert not {"KVP", "SliceThickness"} & set(made.dir())
    result = run(source, "out", "--config", "pacs.toml", "--profile", "basic")
    assert (result.code, result.err.count("burnt in")) == (1, 1)
    result = run(source, "out", "--config", "pacs.toml", "--option", "retain-full-dates")
    assert (result.code, "exclude each other" in result.err) == (2, True)
    assert "no profile 'x'" in run(source, "out", "--profile", "x").err


@pytest.mark.parametrize("end", [10, 140, 300, 900, -130, -70, -3])
def test_what_is_cut_is_refused(end: int) -> None:
    buffer = BytesIO()
    make_instance().save_as(buffer, enforce_file_format=True)
    with pytest.raises(ValueError):
        deidentify_file(BytesIO(buffer.getvalue()[:end]), PROFILE, lambda made: BytesIO())


def test_nested_too_deeply_is_refused(run, tmp_path: Path) -> None:
    item = b""
    for _ in range(3000):
        item = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff" + item
    source = save(tmp_path / "deep.dcm", make_instance())
    source.write_bytes(source.read_bytes()[:400] + item)
    assert run(source, "out").code == 1
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_pixels_are_not_held_in_memory(tmp_path: Path) -> None:
    dataset = make_instance(Rows=1024, Columns=1024, NumberOfFrames=8)
    dataset.PixelData = bytes(2 * 1024 * 1024 * 8)
    source = save(tmp_path / "large.dcm", dataset)
    del dataset
    with (tmp_path / "made.dcm").open("wb") as target:
        deidentify_file(source, PROFILE, lambda made: target)
        target.seek(0)
        tracemalloc.start()
        report = deidentify_file(source, PROFILE, lambda made: target)
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    assert find_leaks(tmp_path / "made.dcm", report.evidence).searched > 16 << 20
    searching = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (peak < 8 << 20, searching < 12 << 20) == (True, True)


PROGRAM = """
import sys
from pacs_core.cli.main import main
assert main(sys.argv[1:]) == 0
print(*sys.modules)
"""


def test_without_a_config_file_no_plugin_is_imported(tmp_path: Path) -> None:
    source = save(tmp_path / "one.dcm", make_instance())
    environment = {name: text for name, text in os.environ.items() if name != "PACS_CONFIG"}
    command = [sys.executable, "-c", PROGRAM, "deidentify", str(source), str(tmp_path / "made")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.splitlines()[-1].split())
    assert "pacs_deidentify.batch" in modules
    assert (
        not {"cyclopts", "pacs_core.app", "pacs_core.plugins", "pacs_deidentify.plugin"} & modules
    )


def test_peers_with_a_profile(tmp_path: Path, capsys) -> None:
    """Files are not sent to them as they are; a profile that does not exist is told."""
    source = save(tmp_path / "one.dcm", make_instance())
    config = tmp_path / "pacs.toml"
    table = """
        [peers.research]
        ae_title = "RESEARCH"
        host = "127.0.0.1"
        deidentify = "{}"
        """
    config.write_text(table.format("basic"))
    assert main(["store", "research", str(source), "--config", str(config)]) == 2
    assert "is configured to get what is de-identified" in capsys.readouterr().err
    config.write_text(table.format("bsic"))
    assert main(["config", "check", "--config", str(config)]) != 0
    assert "there is no profile 'bsic'; there are basic" in capsys.readouterr().err
    config.write_text(table.format("basic") + 'dicomweb = "http://127.0.0.1/dicom-web"')
    assert main(["config", "check", "--config", str(config)]) != 0
    assert "make two peers of it" in capsys.readouterr().err
    config.write_text(table.format("basic"))
    assert main(["conformance", "--config", str(config)]) == 0
    statement = capsys.readouterr().out
    assert "Basic Application Level Confidentiality Profile" in statement
    assert "research (basic)" in statement
