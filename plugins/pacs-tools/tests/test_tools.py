"""Commands for files, run as from a shell, on files of pydicom and of this project."""

import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_tools.multiplicity import allows
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pacs_core.api.commands import main
from pacs_core.api.file_commands import NOTHING

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
BIG_ENDIAN = Path(get_testdata_file("MR_small_bigendian.dcm"))
SAMPLES = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "test-SR.dcm",
           "rtplan.dcm", "image_dfl.dcm", "JPEG2000.dcm", "waveform_ecg.dcm")  # fmt: skip
TAG = re.compile(r"^\s*\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})\) ([A-Z]{2})", re.MULTILINE)
FOREIGN = {"0002", "FFFE"}


def tags_and_vrs(text):
    return [
        (group.upper(), element.upper(), vr)
        for group, element, vr in TAG.findall(text)
        if group.upper() not in FOREIGN and element != "0000"
    ]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.skipif(not shutil.which("dcmdump"), reason="DCMTK is not installed")
def test_dump_shows_the_elements_that_dcmdump_shows(run, name):
    path = FOLDER / name
    code, ours, err = run("dump", path)
    theirs = subprocess.run(["dcmdump", "-q", path], capture_output=True, check=True).stdout
    theirs = tags_and_vrs(theirs.decode("latin-1"))
    assert (code, err) == (0, "")
    assert [tag[:2] for tag in tags_and_vrs(ours)] == [tag[:2] for tag in theirs]
    # DCMTK's VRs of Pixel Data and of LUTs are its own, where the standard allows several.
    assert [a for a, b in zip(tags_and_vrs(ours), theirs, strict=True) if a != b and b[2] != "ox"] \
        in ([], [("7FE0", "0010", "OB")])  # fmt: skip


def test_dump_names_what_it_shows(run):
    _, out, _ = run("dump", CT)
    assert (
        "(0008,0016) UI SOPClassUID                          1.2.840.10008.5.1.4.1.1.2 = CT Image"
        in out
    )
    assert "(0009,1001) LO [GEMS_IDEN_01] Full fidelity         GE_GENESIS_FF" in out
    assert "(0002,0010) UI TransferSyntaxUID" in out
    assert (
        "(0008,0008) CS ImageType                            ORIGINAL\\PRIMARY\\AXIAL  # 3 values"
        in out
    )
    assert re.search(r"\(7FE0,0010\) OW PixelData +<32768 bytes at byte \d+>", out)


def test_dump_reads_private_elements_as_their_creator_says(run, tmp_path):
    """In Implicit VR, or as UN, no VR is sent (PS3.5 §6.2.2): pydicom's table has some."""
    dataset = dcmread(FOLDER / "MR_small_implicit.dcm")
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    dataset.private_block(0x0031, "NOBODY", create=True).add_new(0x08, "CS", "KEPT")
    dataset.save_as(tmp_path / "a.dcm")
    _, out, _ = run("dump", tmp_path / "a.dcm", "--search", "CSA Image Header Type")
    shown = "CS [SIEMENS CSA HEADER] CSA Image Header Type IMAGE NUM 4"
    assert " ".join(out.split()[1:]) == shown
    _, out, _ = run("dump", tmp_path / "a.dcm", "--search", r"0031,1008")
    assert out.split()[1:4] == ["UN", "[NOBODY]", "4b"]


def test_dump_shows_what_is_asked_for(run):
    assert run("dump", CT, "--tag", "PatientID")[1].count("\n") == 3
    assert run("dump", CT, "--tag", "PatientID", "--depth", "0")[1].count("\n") == 1
    code, out, _ = run("dump", CT, "--search", "compressedsamples")
    assert (code, out.split()[-1]) == (0, "CompressedSamples^CT1")
    assert run("dump", CT, "--search", "(")[0] == 2
    code, _, err = run("dump", CT, "--tag", "PatientNam")
    assert code != 0
    assert "PatientName" in err


def test_dump_prints_each_element_for_programs(run, tmp_path):
    """A path is one that `pacs modify` takes, and leads to the element."""
    code, out, _ = run("dump", CT, "--json", "--offsets", "--tag", "PatientID", "--tag", "00091027")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["path"] for each in found] == [
        "0009,[GEMS_IDEN_01],27",
        "PatientID",
        "OtherPatientIDsSequence[1].PatientID",
        "OtherPatientIDsSequence[2].PatientID",
    ]
    content = Path(CT).read_bytes()
    for each in found:
        tag = int(each["tag"], 16)
        assert content[each["offset"] :].startswith((tag >> 16).to_bytes(2, "little"))
    last = found[-1]
    assert {**last, "file": ""} == {
        "file": "", "path": last["path"], "tag": "00100020", "vr": "LO", "name": "PatientID",
        "value": "1234ABCD", "values": 1, "offset": last["offset"],
    }  # fmt: skip
    changed = tmp_path / "changed.dcm"
    assignments = [word for each in found[1:] for word in ("--set", f"{each['path']}=NEW")]
    assert run("modify", CT, *assignments, "--output", changed)[0] == 0
    _, out, _ = run("dump", changed, "--json", "--tag", "PatientID", "--depth", "1")
    assert [json.loads(line)["value"] for line in out.splitlines()] == ["NEW"] * 3


def test_what_dump_prints_for_programs_is_what_it_shows(run):
    _, shown, _ = run("dump", CT)
    _, printed, _ = run("dump", CT, "--json")
    lines = [line.split() for line in shown.splitlines() if "> item" not in line]
    records = [json.loads(line) for line in printed.splitlines()]
    assert [line[0] for line in lines] == [
        f"({each['tag'][:4]},{each['tag'][4:]})" for each in records
    ]
    assert [line[1] for line in lines] == [each["vr"] for each in records]
    assert len({each["path"] for each in records}) == len(records)


def test_dump_tells_that_there_was_nothing_to_dump(run, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    code, out, err = run("dump", tmp_path)
    assert (code, out, err) == (3, "", "pacs: there is nothing to do: no DICOM file was found\n")
    assert run("dump", tmp_path / "notes.txt")[0] == 1


def test_dump_says_where_a_file_is_damaged_and_shows_what_is_before(run, tmp_path):
    cut = tmp_path / "cut.dcm"
    dataset = dcmread(CT)
    dataset["OtherPatientIDsSequence"].is_undefined_length = True
    for item in dataset.OtherPatientIDsSequence:
        item.is_undefined_length_sequence_item = True
    dataset.save_as(cut)
    content = cut.read_bytes()
    cut.write_bytes(content[: content.index(b"ABCD1234") + 12])
    code, out, err = run("dump", cut)
    assert code == 1
    assert "PatientID                            1CT1" in out
    assert "  > item 1\n  (0010,0020) LO PatientID                          ABCD1234" in out
    assert re.search(r"cut.dcm: damaged: .*\(at byte \d+\)", err)


def test_what_is_in_a_value_does_not_act_on_a_terminal(run, tmp_path):
    dataset = dcmread(CT)
    dataset.PatientName = "\033[31mred"
    dataset.save_as(tmp_path / "red.dcm")
    for command in ("dump", "info"):
        assert "\033" not in "".join(run(command, tmp_path / "red.dcm")[1:])
    assert "\\x1b[31mred" in run("dump", tmp_path / "red.dcm")[1]


def test_a_folder_is_gone_through_and_what_is_no_dicom_passed_over(run, tmp_path):
    shutil.copy(CT, tmp_path / "1.dcm")
    (tmp_path / "below").mkdir()
    shutil.copy(BIG_ENDIAN, tmp_path / "below" / "2.dcm")
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "empty").touch()
    code, out, err = run("dump", tmp_path, "--tag", "Modality")
    assert (code, err) == (0, "")
    assert [line.split()[-1] for line in out.splitlines() if "Modality" in line] == ["CT", "MR"]
    code, out, err = run("info", tmp_path, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert {Path(each["path"]).name for each in found} == {"1.dcm", "2.dcm"}
    assert run("info", tmp_path / "notes.txt")[0] == 1
    shutil.rmtree(tmp_path / "below")
    (tmp_path / "1.dcm").unlink()
    assert run("info", tmp_path)[0] == NOTHING
    assert run("find-files", tmp_path)[0] == NOTHING


def test_info_tells_of_each_file_and_sums_studies(run, tmp_path):
    for number in range(3):
        dataset = dcmread(CT)
        dataset.SOPInstanceUID = f"1.2.{number // 2}"  # two of them are one instance
        dataset.save_as(tmp_path / f"{number}.dcm")
    code, out, _ = run("info", tmp_path)
    lines = out.splitlines()
    assert code == 0
    assert lines[1].startswith("CT        128x128, 16 bit       Explicit VR Little Endian")
    assert lines[2] == "  Media Storage SOP Instance UID is another than SOP Instance UID"
    code, out, err = run("info", tmp_path, "--by", "study", "--json")
    study = json.loads(out)
    assert (study["instances"], study["series"], study["patient"]) == (2, 1, "1CT1")
    assert study["bytes"] == sum(each.stat().st_size for each in tmp_path.iterdir())
    assert "1 files hold an instance that another one holds" in err


def test_diff_is_by_what_values_say(run, tmp_path):
    little = FOLDER / "MR_small.dcm"
    code, out, _ = run("diff", little, BIG_ENDIAN)
    assert code == 1
    assert out.splitlines()[0].startswith("- TransferSyntaxUID: 1.2.840.10008.1.2.1")
    assert "PixelData" not in out
    changed = dcmread(CT)
    changed.PatientName = "Other"
    del changed.StationName
    changed.OtherPatientIDsSequence[1].PatientID = "77"
    changed.OtherPatientIDsSequence.append(Dataset())
    changed.SliceThickness = "5"
    changed.PixelData = changed.PixelData[:-1] + b"\x7f"
    changed.save_as(tmp_path / "changed.dcm")
    code, out, _ = run("diff", CT, tmp_path / "changed.dcm")
    assert code == 1
    assert [line[2:].split(":")[0] for line in out.splitlines() if line[0] == "-"] == [
        "StationName", "PatientName", "OtherPatientIDsSequence[2].PatientID", "PixelData",
    ]  # fmt: skip
    assert "+ OtherPatientIDsSequence[3]: an item" in out
    code, out, _ = run("diff", CT, tmp_path / "changed.dcm", "--json", "-i", "PixelData")
    assert json.loads(out.splitlines()[0]) == {
        "path": "StationName", "in": "first", "first": "CT01_OC0",
    }  # fmt: skip
    assert "SliceThickness" in run("diff", CT, tmp_path / "changed.dcm", "--bytes")[1]
    assert run("diff", CT, CT) == (0, "", "")
    assert run("diff", CT, tmp_path / "none")[0] == 1


@pytest.mark.parametrize("model", ["json", "xml"])
@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "test-SR.dcm"])
def test_models_go_both_ways(run, tmp_path, model, bulk, name):
    options = ("--bulk", tmp_path / "bulk") if bulk else ()
    there, back = tmp_path / f"there.{model}", tmp_path / "back.dcm"
    assert run(model, FOLDER / name, there, *options)[0] == 0
    assert (tmp_path / "bulk").exists() == (bulk and "SR" not in name)
    assert run(model, there, back, *options)[0] == 0
    code, out, _ = run("diff", FOLDER / name, back, "--ignore", "TransferSyntaxUID")
    assert (code, out) == (0, "")
    assert dcmread(back).SOPInstanceUID == dcmread(FOLDER / name).SOPInstanceUID
    assert run(model, there, back, *options)[0] == 2  # nothing is replaced
    assert run(model, there, back, "--overwrite", *options)[0] == 0


def test_json_is_that_of_the_standard(run):
    code, out, _ = run("json", CT)
    model = json.loads(out)
    assert code == 0
    assert model["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "CompressedSamples^CT1"}]}
    # pydicom reads it as what it is.
    assert Dataset.from_json(out).PixelData == dcmread(CT).PixelData


@pytest.mark.parametrize("reference", ["../secret", "/etc/passwd", "a/b", ".", "..", "http://x/y"])
def test_a_model_reaches_no_file_outside_its_folder(run, tmp_path, reference):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "bulk").mkdir()
    model = {"00080016": {"vr": "UI", "Value": ["1.2"]}, "00080018": {"vr": "UI", "Value": ["1.3"]},
             "00420011": {"vr": "OB", "BulkDataURI": reference}}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(model))
    code, _, err = run("json", tmp_path / "a.json", tmp_path / "a.dcm", "--bulk", tmp_path / "bulk")
    assert code == 1
    assert "refers to" in err or "bulk" in err
    assert not (tmp_path / "a.dcm").exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[{},{}]", '{"x":1}', "<a/>", "<?xml", "<"])
def test_what_is_no_model_is_refused(run, tmp_path, text):
    (tmp_path / "model").write_text(text)
    for command in ("json", "xml"):
        code, _, err = run(command, tmp_path / "model", tmp_path / "a.dcm")
        assert code == 1
        assert err.count("\n") == 1
        assert "internal error" not in err
    assert not (tmp_path / "a.dcm").exists()


def test_compressed_pixels_are_not_left_out_unasked(run, tmp_path):
    compressed = FOLDER / "JPEG2000.dcm"
    code, out, err = run("json", compressed, tmp_path / "a.json")
    assert (code, out) == (5, "")
    assert "PixelData is compressed" in err
    assert not list(tmp_path.iterdir())
    code, out, err = run("json", compressed, "--without-pixel-data")
    assert (code, err) == (0, "")
    assert "00080016" in json.loads(out)
    assert "7FE00010" not in json.loads(out)


def test_find_files_matches_as_a_query_does(run):
    code, out, _ = run("find-files", FOLDER, "-k", "PatientName=compressedsamples^mr*")
    found = {Path(line).name for line in out.splitlines()}
    assert code == 0
    assert found >= {"MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"}
    assert "CT_small.dcm" not in found
    code, out, _ = run(
        "find-files", CT, BIG_ENDIAN, "-k", "StudyDate=20040101-20040201", "-k", "PatientID",
        "--format", "json",
    )  # fmt: skip
    assert json.loads(out) == [{"StudyDate": "20040119", "PatientID": "1CT1"}]
    _, out, _ = run("find-files", FOLDER, "-k", "OtherPatientIDsSequence.PatientID=ABCD1234")
    assert Path(out.splitlines()[0]).name == "CT_small.dcm"
    assert run("find-files", CT, "-k", "StudyDate=yesterday")[0] == 2


def test_a_deflate_bomb_is_named_and_its_beginning_shown(run, tmp_path):
    header = struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, 1 << 30)
    bomb = zlib.compressobj(9, wbits=-15)
    head = (FOLDER / "image_dfl.dcm").read_bytes()[:2000]
    start = head.index(b"1.2.840.10008.1.2.1.99") + 22
    length = 132 + 12 + struct.unpack("<I", head[140:144])[0]
    assert start < length
    body = bomb.compress(header) + bomb.compress(bytes(300 << 20)) + bomb.flush()
    (tmp_path / "bomb.dcm").write_bytes(head[:length] + body)
    code, _, err = run("dump", tmp_path / "bomb.dcm")
    assert code == 1
    assert "250 times its size" in err


@given(st.integers(1, 40))
def test_multiplicities_are_those_of_the_registry(count):
    assert allows("1", count) == (count == 1)
    assert allows("1-n", count)
    assert allows("2-2n", count) == (count % 2 == 0)
    assert allows("3-3n", count) == (count % 3 == 0)
    assert allows("1-8", count) == (count <= 8)
    assert allows("2-n", count) == (count >= 2)
    assert allows("1-n or 1", count)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_never_fails_otherwise_than_by_a_message(tmp_path_factory, data):
    content = bytearray(CT.read_bytes()[:6000])
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.dcm"
    path.write_bytes(content)
    for command in ("dump", "info", "json"):
        assert main([command, str(path)]) in {0, 1}
    assert main(["diff", str(path), str(CT)]) == 1


def test_the_documented_command_works_beside_the_others(run, tmp_path, monkeypatch):
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "files.md").read_text()
    (tmp_path / "acme_tools.py").write_text(page.split("```python\n")[1].split("```")[0])
    info = tmp_path / "acme_tools-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1\n")
    points = page.split("```toml\n")[1].split("```")[0].split("\n", 1)[1].replace('"', "")
    points = f"[pacs_core.commands]\n{points}broken = acme_tools:none\nserve = acme_tools:serve\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("count-frames", CT) == (0, f"{CT}: 1\n", "")
    code, _, err = run("broken")
    assert code == 1
    assert "acme-tools 1: the command 'broken' cannot be loaded: AttributeError" in err
    code, out, err = run("--help")
    assert code == 0
    assert "Print how many frames each file has." in out
    assert "worklist" in out
    assert "the command 'serve' is pacs's own and was ignored" in err


NEEDLESS = {
    "asyncio", "email", "http.client", "importlib.resources", "importlib_metadata", "logging",
    "numpy", "pacs_core.app", "pacs_core.archive", "pacs_core.contracts", "pydicom", "rich",
    "secrets", "ssl", "tempfile", "traceback",
}  # fmt: skip
"""What takes a tenth of a start or more, all of it together three times as long as a start."""


@pytest.mark.parametrize(
    "arguments",
    ["dump", "info", "diff CT", "json", "xml", "validate", "find-files -k PatientID",
     "modify --set PatientID=1 --dry-run", "sr", "uid"],
)  # fmt: skip
def test_a_command_for_files_imports_what_it_needs(arguments):
    program = (
        "import sys; from pacs_core.cli.main import main; main(sys.argv[1:]);"
        "print('LOADED', *sorted(name for name in sys.modules), file=sys.stderr)"
    )
    words = [str(CT) if word == "CT" else word for word in arguments.split()]
    done = subprocess.run(
        [sys.executable, "-c", program, *words, *([] if "uid" in words else [str(CT)])],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Error" not in done.stderr
    imported = set(done.stderr.rpartition("LOADED")[2].split())
    assert "pacs_tools" in imported
    assert not imported & NEEDLESS
