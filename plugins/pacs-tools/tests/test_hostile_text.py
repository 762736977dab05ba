"""Nothing in a file acts on a terminal or ends a command, whatever is in it and wherever."""

import os
import pty
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement

from pacs_core.api.file_commands import NOTHING

CT = Path(get_testdata_file("CT_small.dcm"))
ESCAPE = "\033[31m"
TEXTS = ("AccessionNumber", "InstitutionName", "Modality", "PatientID", "PatientName", "StudyDate",
         "StudyDescription", "StudyID", "ImageType", "SliceThickness")  # fmt: skip
UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
COMMANDS = (
    "dump F", "dump F --full --offsets", "info F", "info F --by study", "info F --by series",
    "diff F ct.dcm", "diff ct.dcm F", "json F made", "xml F made", "sr F", "validate F",
    "modify F --set StudyID=1 --dry-run", "modify F --set StudyID=1 --output made", "explain F",
    "modify F --csv table.csv --output made", "split F --output made",
    "find-files F --format table", "dicomdir create F --output made", "to-stream F made",
    "merge-patient F --from a --into b --output made", "seg to-nifti F --output made",
)  # fmt: skip


def hostile(path: Path, keywords: tuple[str, ...], text: str) -> Path:
    dataset = dcmread(CT)
    for keyword in keywords:
        tag, vr = tag_for_keyword(keyword), dictionary_VR(keyword)
        # Numbers are read as such; what is no number is put in as if it were one.
        vr = {"IS": "LO", "DS": "LO"}.get(vr, vr)
        dataset[tag] = DataElement(tag, vr, text, validation_mode=IGNORE)
    dataset.save_as(path)
    return path


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(CT, "ct.dcm")
    Path("table.csv").write_text("PatientID,PatientName\nx,y\n")
    files = [hostile(Path("text.dcm"), TEXTS, f"1{ESCAPE}\r")]
    files += [hostile(Path(f"{uid}.dcm"), (uid,), f"1.2{ESCAPE}") for uid in UIDS]
    private = dcmread(CT)
    private.add_new(0x0011_0010, "LO", f"ACME{ESCAPE}")
    private.add_new(0x0011_1001, "LO", f"ACME{ESCAPE}")
    private.save_as("private.dcm")
    meta = dcmread(CT)
    for keyword in ("ImplementationVersionName", "SourceApplicationEntityTitle"):
        element = meta.file_meta.data_element(keyword)
        tag = tag_for_keyword(keyword)
        vr = element.VR if element else dictionary_VR(keyword)
        meta.file_meta[tag] = DataElement(tag, vr, ESCAPE, validation_mode=IGNORE)
    meta.save_as("meta.dcm")
    syntax = CT.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10\033[31m.1\0", 1)
    Path("syntax.dcm").write_bytes(syntax)
    shutil.copy(CT, f"{ESCAPE}.dcm")
    return [*files, *map(Path, ("private.dcm", "meta.dcm", "syntax.dcm", f"{ESCAPE}.dcm"))]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_acts_on_a_terminal_or_ends_a_command(run, files, command):
    for file in files:
        code, out, err = run(*(file if word == "F" else word for word in command.split()))
        assert code in {0, 1, 2, 3, 5}
        assert "internal error" not in err
        assert not [each for each in out + err if each < " " and each not in "\n\t"]
        made = Path("made")
        if made.is_dir():
            shutil.rmtree(made)
        made.unlink(missing_ok=True)


SOURCES = ("CT_small", "MR_small_bigendian", "JPEG2000", "test-SR", "rtplan", "image_dfl",
           "nested_priv_SQ", "SC_rgb_rle_2frame", "liver_1frame", "UN_sequence")  # fmt: skip
INSERTED = (b"\xff\xff\xff\xff", bytes(4), b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0", b"SQ", b"UN")


def damage(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, insert or cut off something, most often among the first elements."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(min(len(changed), chance.choice((1500, len(changed)))))
        kind = chance.randrange(5)
        if kind == 4:
            del changed[at + 1 :]
        else:
            new = (b"", chance.randbytes(4), chance.choice(INSERTED), b"")[kind]
            changed[at : at + chance.choice((0, len(new), 8))] = new
    return bytes(changed)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_damaged_files_end_no_command_by_surprise(run, tmp_path, monkeypatch, command):
    """Of each a message in a line, and nothing half made."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(CT, "ct.dcm")
    Path("table.csv").write_text("PatientID,PatientName\nx,y\n")
    chance, expected = random.Random(command), {"ct.dcm", "table.csv", "a.dcm", "made"}
    for name in SOURCES:
        Path("a.dcm").write_bytes(damage((CT.parent / f"{name}.dcm").read_bytes(), chance))
        code, _, err = run(*("a.dcm" if word == "F" else word for word in command.split()))
        assert code in {0, 1, 2, 3, 5}
        assert "internal error" not in err
        assert {each.name for each in tmp_path.iterdir()} <= expected
        assert not list(tmp_path.rglob(".*"))
        made = Path("made")
        if made.is_dir():
            shutil.rmtree(made)
        made.unlink(missing_ok=True)


@pytest.mark.skipif(sys.platform == "win32", reason="pty")
def test_names_of_files_are_as_they_are_but_on_a_terminal(run, files, tmp_path):
    name = f"{ESCAPE}.dcm"
    assert run("find-files", ".", "-k", "Modality=CT")[1].splitlines().count(name) == 1
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pacs_core.cli", "find-files", name]
    subprocess.run(command, stdout=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 1 << 12)
    os.close(ours)
    assert b"\\x1b[31m.dcm" in shown
    assert b"\033[31m" not in shown


def test_modify_keeps_file_meta_information_that_it_was_not_asked_to_change(run, files):
    """What is wrong elsewhere in the file is not in the way, and is not mended in passing."""
    before = dcmread("SOPInstanceUID.dcm")
    assert run("modify", "SOPInstanceUID.dcm", "--set", "StudyID=1", "--in-place")[0] == 0
    made = dcmread("SOPInstanceUID.dcm")
    assert made.file_meta == before.file_meta
    assert made.StudyID == "1"
    code, _, err = run("modify", "ct.dcm", "--set", "SOPInstanceUID=a", "--in-place")
    assert code in {1, 2}
    assert "is not a UID" in err or "SOPInstanceUID" in err


@pytest.mark.parametrize("content", [b"PatientID,StudyID\n\xe4,1\n", b"PatientID,StudyID\n\0,1\n"])
def test_a_table_that_is_none_is_named(run, tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    code, _, err = run("modify", CT, "--csv", tmp_path / "table.csv", "--output", tmp_path / "made")
    assert code in {1, 2}
    assert "table.csv" in err or "no row" in err
    assert "internal error" not in err


def test_damaged_pictures_are_named_and_warn_of_nothing_else(run, tmp_path):
    """What Pillow raises, and warns of, is said in one line."""
    picture = Image.radial_gradient("L").resize((32, 24)).convert("RGB")
    source, made = tmp_path / "a.tif", tmp_path / "a.dcm"
    picture.save(source, save_all=True, append_images=[picture], compression="tiff_lzw")
    data = source.read_bytes()
    for where in range(4, len(data), max(len(data) // 120, 1)):
        for damage in (b"", data[where:][:1], b"\xff\xff\xff\xff" + data[where + 4 :]):
            source.write_bytes(data[:where] + damage)
            code, out, err = run("from-image", source, made, "--like", CT)
            assert "internal error" not in err
            assert (code, err) == (0, "") or (err.startswith("pacs: ") and err.count("\n") == 1)
            assert made.exists() is (code == 0), out
            made.unlink(missing_ok=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    "command", ["dump", "info", "validate", "sr", "find-files", "modify --set StudyID=1 --dry-run"]
)
def test_pipes_and_devices_are_passed_over_or_named(run, tmp_path, command):
    """A pipe might block, and a device never end."""
    os.mkfifo(tmp_path / "pipe")
    name, *options = command.split()
    code, _, err = run(name, tmp_path, *options)
    assert code in {0, NOTHING}
    assert "pipe" not in err
    for path in (tmp_path / "pipe", "/dev/zero"):
        code, _, err = run(name, path, *options)
        assert (code, "no regular file" in err) == (1, True)


@pytest.mark.parametrize("command", ["dump ct.dcm --tag", "diff ct.dcm ct.dcm --ignore"])
def test_an_attribute_that_is_none_is_named(run, files, command):
    code, _, err = run(*command.split(), "NoSuch")
    assert code == 2
    assert err.startswith(f"pacs: {command.split()[-1]}: no attribute is called 'NoSuch'")
