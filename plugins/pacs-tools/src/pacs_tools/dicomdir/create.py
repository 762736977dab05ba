"""``pacs dicomdir create``: file-sets for exchange on media (PS3.10 §8, PS3.3 Annex F).

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

from pacs_core.api.file_commands import NOTHING, Option, UsageError, complain, progress, say, walk
from pacs_tools.dicomdir.records import DIRECTORY

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.fileset import FileSet

_INVENTED: Final = {
    "PatientID": "UNKNOWN", "StudyDate": "19000101", "StudyTime": "000000", "StudyID": "1",
    "Modality": "OT", "SeriesNumber": "1", "InstanceNumber": "1",
}  # fmt: skip
"""Attributes of Type 1 of directory records that instances may lack (PS3.3 F.5)."""


def create(
    paths: list[Path],
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    id_: Annotated[str, Option("--id")] = "",
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
    with staged() as file_set:
        file_set.ID = id_ or None
        sources = add_all(file_set, walk(paths), problems)
        for problem in problems:
            complain(problem)
        if not sources:
            complain("there is nothing to do: no DICOM file was found")
            return 1 if problems else NOTHING
        _write(file_set, sources, output)
    say(f"{len(sources)} instance{'' if len(sources) == 1 else 's'} in {output}")
    return 1 if problems else 0


@contextmanager
def staged() -> "Iterator[FileSet]":
    """Have a new file-set, and its temporary files as long as it is needed."""
    from pydicom.fileset import FileSet

    file_set = FileSet()
    try:
        yield file_set
    finally:
        file_set._stage["t"].cleanup()


def add_all(
    file_set: "FileSet", files: Iterable[tuple[Path, bool]], problems: list[str]
) -> dict[str, Path]:
    """Add instances, without their pixels; return their files by SOP Instance UID.

    Parameters
    ----------
    file_set : FileSet
    files : iterable of (Path, bool)
        With whether each was named, rather than found in a folder.
    problems : list of str
        What cannot be added is.
    """
    sources: dict[str, Path] = {}
    with progress("reading", None) as advance:
        for path, dataset in _read_all(files, problems):
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


def _read_all(
    files: Iterable[tuple[Path, bool]], problems: list[str]
) -> Iterator[tuple[Path, "Dataset"]]:
    """Iterate over DICOM files, without their pixels."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path, named in files:
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            if dataset.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY:
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
