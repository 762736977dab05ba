"""``pacs dicomdir``: file-sets for exchange on media (PS3.10 §8, PS3.3 Annex F).

How a file-set is made: pydicom derives the directory records from the datasets without their
pixels, and writes the DICOMDIR; the instances are then copied to the names that it gave them, so
that they keep their bytes. All that happens in a folder beside the wanted one, which gets its name
when everything is there.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen
from cyclopts import App, Parameter

from pacs_core.api.file_commands import (
    NOTHING,
    CommandError,
    JsonOption,
    UsageError,
    complain,
    dump_json,
    progress,
    say,
    walk,
)
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, tag_of, texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.fileset import FileSet

app = App(name="dicomdir", help="Make and examine file-sets with a DICOMDIR.")

_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage (PS3.10 §8.6)."""

_SHOWN: Final = {
    "PATIENT": ("PatientID", "PatientName"),
    "STUDY": ("StudyDate", "StudyDescription", "StudyInstanceUID"),
    "SERIES": ("Modality", "SeriesNumber", "SeriesInstanceUID"),
}
_INVENTED: Final = {
    "PatientID": "UNKNOWN", "StudyDate": "19000101", "StudyTime": "000000", "StudyID": "1",
    "Modality": "OT", "SeriesNumber": "1", "InstanceNumber": "1",
}  # fmt: skip
"""Attributes of Type 1 of directory records that instances may lack (PS3.3 F.5)."""

_MOST_RECORDS: Final = 1_000_000
_OFFSETS: Final = {
    "OffsetOfTheNextDirectoryRecord": 0,
    "OffsetOfReferencedLowerLevelDirectoryEntity": 1,
}
"""Where a record says what comes next, and how much deeper that is (PS3.3 F.3.2.2)."""

_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")


@app.command
def create(
    paths: list[Path],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    id_: Annotated[str, Parameter(name="--id")] = "",
) -> int:
    """Copy DICOM files into a new file-set, with a DICOMDIR.

    Names are those that PS3.10 allows on media; instances keep their bytes.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    output
        Folder to make; it must not exist, or be empty.
    id_
        File-set ID: up to 16 capital letters, digits and underscores.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists: name a folder that is to be made")
    if re.fullmatch("[A-Z0-9_]{0,16}", id_) is None:
        raise UsageError("--id: it has up to 16 capital letters, digits and underscores")
    problems: list[str] = []
    with _staged() as file_set:
        file_set.ID = id_ or None
        sources = _add_all(file_set, paths, problems)
        for problem in problems:
            complain(problem)
        if not sources:
            complain("there is nothing to do: no DICOM file was found")
            return 1 if problems else NOTHING
        _write(file_set, sources, output)
    say(f"{len(sources)} instance{'' if len(sources) == 1 else 's'} in {output}")
    return 1 if problems else 0


@contextmanager
def _staged() -> "Iterator[FileSet]":
    from pydicom.fileset import FileSet

    file_set = FileSet()
    try:
        yield file_set
    finally:
        file_set._stage["t"].cleanup()


def _add_all(file_set: "FileSet", paths: list[Path], problems: list[str]) -> dict[str, Path]:
    """Add instances, without their pixels; return their files by SOP Instance UID."""
    sources: dict[str, Path] = {}
    with progress("reading", None) as advance:
        for path, dataset in _read_all(paths, problems):
            advance(1)
            uid = str(dataset.SOPInstanceUID)
            if uid in sources:
                problems.append(f"{path}: {sources[uid]} is the same instance")
                continue
            for keyword in _invent(dataset):
                complain(f"{path}: it has no {keyword}: its directory record has an invented one")
            try:
                file_set.add(dataset)
            except (ValueError, AttributeError, KeyError) as error:
                problems.append(f"{path}: no directory record can be made: {error}")
                continue
            sources[uid] = path
    return sources


def _invent(dataset: "Dataset") -> Iterator[str]:
    """Give a dataset what its record must have (PS3.3 F.5); yield what it did not have."""
    for keyword, value in _INVENTED.items():
        if not dataset.get(keyword):
            setattr(dataset, keyword, value)
            yield keyword


def _write(file_set: "FileSet", sources: dict[str, Path], output: Path) -> None:
    """Write the file-set beside the output, with instances as they are, and give it the name."""
    draft = output.with_name(f".incoming-{token_hex(8)}.part")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        file_set.write(draft)
        with progress("copying", len(sources)) as advance:
            for instance in file_set:
                shutil.copyfile(sources[str(instance.SOPInstanceUID)], instance.path)
                advance(1)
        _sync(draft)
        if output.exists():
            output.rmdir()
        draft.rename(output)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read_all(paths: Iterable[Path], problems: list[str]) -> Iterator[tuple[Path, "Dataset"]]:
    """Iterate over DICOM files, without their pixels."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path, named in walk(paths):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            if dataset.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
                continue
            if "SOPInstanceUID" not in dataset or "TransferSyntaxUID" not in dataset.file_meta:
                problems.append(f"{path}: it has no SOP Instance UID, or no transfer syntax")
                continue
            yield path, dataset
        except InvalidDicomError:
            if named:
                problems.append(f"{path}: not a DICOM file")
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        except Exception as error:
            problems.append(f"{path}: cannot be read: {error}")


def _sync(folder: Path) -> None:
    """Have all files below a folder on disk before the folder gets its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@app.command
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
    problems: list[str] = []
    referenced: set[Path] = set()
    for record in _read_records(path, problems):
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
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


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


def _read_records(path: Path, problems: list[str]) -> Iterator[Record]:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        directory = dcmread(path)
        records = {
            item.seq_item_tell: item for item in directory.get("DirectoryRecordSequence") or ()
        }
        first = int(directory.get("OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity") or 0)
    except InvalidDicomError as error:
        raise CommandError(f"{path}: not a DICOM file") from error
    except OSError:
        raise
    except Exception as error:
        raise CommandError(f"{path}: cannot be read: {error}") from error
    if directory.file_meta.get("MediaStorageSOPClassUID") != _DIRECTORY:
        raise CommandError(f"{path}: is no DICOMDIR")
    # What nobody refers to is not reached, and a circle of records must not be walked for ever.
    pending, reached = [(first, 0)], set[int]()
    while pending and len(reached) < _MOST_RECORDS:
        offset, depth = pending.pop()
        if offset == 0:
            continue
        if offset in reached or offset not in records:
            what = "a second time" if offset in reached else "where there is none"
            problems.append(f"{path}: a record refers to one at byte {offset} {what}")
            continue
        reached.add(offset)
        item = records[offset]
        pending.append((int(item.get("OffsetOfTheNextDirectoryRecord") or 0), depth))
        pending.append(
            (int(item.get("OffsetOfReferencedLowerLevelDirectoryEntity") or 0), depth + 1)
        )
        yield _record(item, path.parent, depth)
    if unreached := len(records.keys() - reached):
        problems.append(f"{path}: {unreached} records cannot be reached")


def _record(item: "Dataset", folder: Path, depth: int) -> Record:
    kind = str(item.get("DirectoryRecordType") or "")
    values = {
        keyword: str(item.get(keyword) or "")
        for keyword in _SHOWN.get(kind, ("ReferencedSOPInstanceUIDInFile", "InstanceNumber"))
    }
    parts = item.get("ReferencedFileID")
    if not parts:
        return Record(kind, depth, values, None, "")
    names = [parts] if isinstance(parts, str) else [str(part) for part in parts]
    file = folder.joinpath(*names)
    # Names come from outside: a file beyond the folder is not even looked at.
    if any(
        name in {"", ".", ".."} or "/" in name or "\\" in name or "\0" in name for name in names
    ):
        return Record(kind, depth, values, None, f"it refers to {names!r}, which is no File ID")
    return Record(kind, depth, values, file, _check_file(item, file))


def _check_file(item: "Dataset", file: Path) -> str:
    if file.is_symlink() or not file.is_file():
        return "the file is missing"
    try:
        found = texts(scan_file(file, {_SOP_INSTANCE}).attributes, _SOP_INSTANCE)
    except (NotPart10, MalformedDataset, OSError) as error:
        return f"the file cannot be read: {error}"
    expected = str(item.get("ReferencedSOPInstanceUIDInFile") or "")
    if found != (expected,):
        return f"the file holds {found[0] if found else 'no instance'}, not {expected}"
    return ""
