"""``pacs dicomdir show``."""

from pathlib import Path
from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import JsonOption, complain, dump_json, say, walk
from pacs_tools.dicomdir.records import (
    Directory,
    DirectoryRecord,
    MalformedRecordError,
    check_instance,
    file_of,
    read_directory,
)

_SHOWN: Final = {
    "PATIENT": ("PatientID", "PatientName"),
    "STUDY": ("StudyDate", "StudyDescription", "StudyInstanceUID"),
    "SERIES": ("Modality", "SeriesNumber", "SeriesInstanceUID"),
}


def show(path: Path, /, *, json: JsonOption = False) -> int:
    """Print the records of a DICOMDIR, and what of the file-set is not as it says.

    The exit code is 1 if a file is missing, holds another instance, or is named outside of the
    file-set; or if records cannot be reached.

    Parameters
    ----------
    path
        A DICOMDIR, or the folder that it is in.
    json
        Print one JSON object for each record.
    """
    path = path / "DICOMDIR" if path.is_dir() else path
    directory = read_directory(path)
    with directory.file:
        problems = _show(directory, json)
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


def _show(directory: Directory, json: bool) -> list[str]:
    """Print the records; return what is wrong."""
    path = directory.file.path
    problems: list[str] = []
    referenced: set[Path] = set()
    if directory.shift:
        problems.append(
            f"{path}: all its offsets are wrong by {directory.shift} bytes: "
            "`pacs dicomdir update` writes the right ones"
        )
    for item, depth in directory.walk(problems):
        record = _describe(item, path.parent, depth)
        if record.file is not None:
            referenced.add(record.file)
        if json:
            print(dump_json(record.plain()))
        else:
            say(f"{'  ' * record.depth}{record.kind} {record.text}".rstrip())
        if record.problem:
            problems.append(f"{record.kind} {record.text}: {record.problem}")
    for found, _ in walk([path.parent]):
        if found != path and found not in referenced:
            complain(f"{found}: no record refers to it")
    return problems


@frozen
class Record:
    """A directory record (PS3.3 F.3.2.2).

    Attributes
    ----------
    kind : str
        Directory Record Type.
    depth : int
    values : dict of str to str
    file : Path or None
        What it refers to.
    problem : str
        What is wrong with that; empty if nothing is.
    """

    kind: str
    depth: int
    values: dict[str, str]
    file: Path | None
    problem: str

    @property
    def text(self) -> str:
        """What tells it from others."""
        return str(self.file) if self.file else " ".join(filter(None, self.values.values()))

    def plain(self) -> dict[str, object]:
        """Return it as JSON has it."""
        file = str(self.file) if self.file else None
        return {"type": self.kind, "depth": self.depth, "file": file, **self.values}


def _describe(item: DirectoryRecord, folder: Path, depth: int) -> Record:
    kind, values, file = "", dict[str, str](), None
    try:
        kind = item.text("DirectoryRecordType")
        for keyword in _SHOWN.get(kind, ("ReferencedSOPInstanceUIDInFile", "InstanceNumber")):
            values[keyword] = item.text(keyword)
        file = file_of(item, folder)
        if file is not None:
            if not file.is_file():
                return Record(kind, depth, values, file, "the file is missing")
            check_instance(item, file)
    except MalformedRecordError as error:
        return Record(kind, depth, values, file, str(error))
    return Record(kind, depth, values, file, "")
