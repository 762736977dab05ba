"""Commands that find nothing to do say so on standard error, and end with 3, all of them alike."""

import re
import shutil
from pathlib import Path

import pytest

from pacs_core.cli.errors import NOTHING

SAYS = "pacs: there is nothing to do: "
KEY = "0123456789abcdef"

NO_FILE = "no DICOM file was found"
EMPTY = {
    "dump F": NO_FILE, "dump F --json": NO_FILE, "info F": NO_FILE, "info F --by study": NO_FILE,
    "info F --json": NO_FILE, "validate F": NO_FILE, "validate F --json": NO_FILE,
    "find-files F -k PatientID": "no file matches", "sr F": "no report was found",
    "find-files F -k PatientID --format json": "no file matches",
    "modify F --set StudyID=1 --output made": NO_FILE,
    "modify F --set StudyID=1 --in-place": NO_FILE,
    "modify F --set StudyID=1 --dry-run": NO_FILE,
    "merge-patient F --from 1 --into 1CT1 --like ct.dcm --output made": (
        "no file is of the patient '1'"
    ),
    "json F made": "the folder has no file to convert",
    "xml F made": "the folder has no file to convert",
    "from-pdf F made": "the folder has no file to convert",
    "from-cda F made": "the folder has no file to convert",
    "from-stl F made": "the folder has no file to convert",
    "from-image F made": "the folder has no file to convert",
    "to-document F made": "the folder has no file to convert",
    "extract F --output made": "no image was found", "dicomdir create F --output made": NO_FILE,
    "deidentify F made": NO_FILE, "reidentify F made --vault key --key-file key": NO_FILE,
    "sign F --private-key key --certificate key --output made": NO_FILE,
    "verify F --any-signer": "no file has a digital signature",
    "verify F --list": "no file has a digital signature",
    "store A@127.0.0.1:1 F": NO_FILE, "import --data data F": NO_FILE,
    "explain CT@127.0.0.1:1 F": NO_FILE,
    "convert F made -t implicit": NO_FILE, "web store http://127.0.0.1:1 F": NO_FILE,
}  # fmt: skip
"""Command lines, in which F is a folder without DICOM files, and why there is nothing to do."""

OTHERS = {
    "find-files F -k PatientID=NOBODY": "no file matches",
    "sr F": "no report was found",
    "verify F --any-signer": "no file has a digital signature",
    "merge-patient F --from 1 --into 1CT1 --output made": "no file is of the patient '1'",
}
"""Those that find DICOM files, and none among them that they are for."""


@pytest.fixture
def folder(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the working directory, beside an instance and a key."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(samples / "CT_small.dcm", "ct.dcm")
    Path("key").write_text(f"{KEY}\n")
    Path("F").mkdir()
    return Path("F")


@pytest.mark.parametrize("what", ["nothing", "other files"])
@pytest.mark.parametrize("line", EMPTY)
def test_a_folder_without_dicom_files(pacs, folder: Path, line: str, what: str) -> None:
    if what == "other files":
        (folder / "notes.txt").write_text("no instance")
        (folder / "below").mkdir()
    result = pacs(*line.split())
    assert result.code == NOTHING, result.err
    assert result.err.splitlines()[-1].removesuffix("; --verbose names what was skipped") == (
        SAYS + EMPTY[line]
    )
    # Standard output has what a program can take for what it is: none, or a count of 0.
    assert re.fullmatch(r"(0 (files|instances) .*\n|\[\]\n)?", result.out)
    assert not Path("made").exists()


@pytest.mark.parametrize("line", OTHERS)
def test_no_file_that_a_command_is_for(pacs, folder: Path, line: str) -> None:
    shutil.copy("ct.dcm", folder)
    result = pacs(*line.split())
    assert (result.code, result.err) == (NOTHING, f"{SAYS}{OTHERS[line]}\n")


def test_every_command_of_the_manual_is_here() -> None:
    """Each command that may end with 3, as docs/how-to/files.md has it."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "files.md").read_text()
    rows = [row.split("|") for row in page.splitlines() if re.match(r"\| `[\w -]+`.*\|.*\|", row)]
    may_end = {
        name for row in rows if len(row) == 5 and row[3].strip()
        for name in re.findall("`([^`]+)`", row[1])
    }  # fmt: skip
    assert len(may_end) > 15
    assert {name for name in may_end if not any(line.startswith(name + " ") for line in EMPTY)} == (
        set()
    )
