"""Directory records of a DICOMDIR, which may have been made by anybody (PS3.3 F.3.2.2).

Records are items of one sequence, and refer to each other by the bytes at which they begin. An
offset may lead nowhere, back to where one comes from, or deeper and deeper: each item is reached
once at most, and no deeper than a tree of records can be. Programs that change a DICOMDIR and
forget its offsets leave all of them wrong by the same number of bytes, which is made up for. The
names in Referenced File ID come from outside as well: what may be no name of a file below the
folder of the DICOMDIR is never looked at.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, tag_of, texts
from pacs_tools.files import open_named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage (PS3.10 §8.6)."""

NEXT: Final = "OffsetOfTheNextDirectoryRecord"
LOWER: Final = "OffsetOfReferencedLowerLevelDirectoryEntity"
FIRST: Final = "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"
LAST: Final = "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity"

WITHOUT_FILE: Final = frozenset({"PATIENT", "STUDY", "SERIES", "PRIVATE"})
"""Types of records that need not refer to a file (PS3.3 Table F.4-1)."""

MOST_COMPONENTS: Final = 8
"""Of a File ID (PS3.10 §8.2)."""

KEYS: Final = {
    "PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID",
}  # fmt: skip
"""What tells records of a level apart (PS3.3 F.5.1 to F.5.3)."""

_MOST_LEVELS: Final = 16
"""Four are the most of PS3.3 Table F.4-1, but private records may be below others."""

_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")


class MalformedRecordError(ValueError):
    """A record has a value that it cannot have."""


class OtherInstanceError(MalformedRecordError):
    """A file holds another instance than its record says."""


@frozen
class Directory:
    """A DICOMDIR as it was read.

    Attributes
    ----------
    path : Path
    dataset : Dataset
    records : dict of int to Dataset
        By the byte at which each begins.
    damage : str
        What cannot be read, and where; empty if all can.
    shift : int
        Bytes by which all its offsets are too small.
    """

    path: Path
    dataset: "Dataset"
    records: "dict[int, Dataset]" = field(repr=False)
    damage: str = ""
    shift: int = 0

    def walk(self, problems: list[str]) -> "Iterator[tuple[Dataset, int]]":
        """Iterate over records with their levels, each before those below it.

        Parameters
        ----------
        problems : list of str
            What is wrong with the file and its offsets is added.
        """
        if self.damage:
            problems.append(f"{self.path}: damaged: {self.damage}")
        pending, reached = [(_read_offset(self.dataset, FIRST, problems), 0)], set[int]()
        while pending:
            offset, depth = pending.pop()
            if offset == 0:
                continue
            offset += self.shift
            if problem := self._check_offset(offset, depth, reached):
                problems.append(f"{self.path}: a record refers to one at byte {offset} {problem}")
                continue
            reached.add(offset)
            record = self.records[offset]
            pending.append((_read_offset(record, NEXT, problems), depth))
            pending.append((_read_offset(record, LOWER, problems), depth + 1))
            yield record, depth
        if unreached := len(self.records.keys() - reached):
            problems.append(f"{self.path}: {unreached} records cannot be reached")

    def _check_offset(self, offset: int, depth: int, reached: set[int]) -> str:
        if offset in reached:
            return "a second time"
        if offset not in self.records:
            return "where there is none"
        return f"below {_MOST_LEVELS} others" if depth >= _MOST_LEVELS else ""


def read_directory(path: Path) -> Directory:
    """Read a DICOMDIR.

    Raises
    ------
    CommandError
        It is none, or cannot be read as one.
    OSError
        The file cannot be read.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        dataset = dcmread(path)
        sop_class = dataset.file_meta.get("MediaStorageSOPClassUID")
        sequence = dataset.get("DirectoryRecordSequence")
        records = {record.seq_item_tell: record for record in sequence or ()}
    except InvalidDicomError as error:
        raise CommandError(f"{path}: not a DICOM file") from error
    # The library raises whatever a damaged dataset happens to make it raise.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CommandError(f"{path}: cannot be read: {error}") from error
    # It also takes what is truncated without a word.
    with open_named(path) as file:
        damage = file.damage
    if sop_class != DIRECTORY:
        raise CommandError(f"{path}: is no DICOMDIR")
    if sequence is None:
        raise CommandError(f"{path}: it has no Directory Record Sequence, or is truncated")
    return Directory(path, dataset, records, damage, _find_shift(dataset, records))


def _find_shift(dataset: "Dataset", records: "dict[int, Dataset]") -> int:
    """Return by how much all offsets are too small if that, and nothing else, is wrong."""
    ignored: list[str] = []
    offsets = {_read_offset(dataset, FIRST, ignored)}
    for record in records.values():
        offsets |= {_read_offset(record, keyword, ignored) for keyword in (NEXT, LOWER)}
    offsets -= {0}
    if not offsets or offsets <= records.keys():
        return 0
    # The first item is the one to which the first offset leads: nobody writes another one first.
    shift = min(records) - min(offsets)
    return shift if {offset + shift for offset in offsets} <= records.keys() else 0


def read_value(record: "Dataset", keyword: str) -> Any:
    """Return a value of a record, None if it has none.

    Raises
    ------
    MalformedRecordError
        It cannot be what the element says.
    """
    try:
        return record.get(keyword)
    except Exception as error:  # as above
        raise MalformedRecordError(f"its {keyword} cannot be read: {error}") from error


def file_of(record: "Dataset", folder: Path) -> Path | None:
    """Return the file that a record refers to, None if to none.

    Raises
    ------
    MalformedRecordError
        It refers to what is no file of the file-set, or to none though it must.
    """
    from pydicom.multival import MultiValue

    parts = read_value(record, "ReferencedFileID")
    if not parts:
        kind = str(read_value(record, "DirectoryRecordType") or "")
        if kind not in WITHOUT_FILE:
            raise MalformedRecordError("it refers to no file")
        return None
    names = list(parts) if isinstance(parts, list | MultiValue) else [parts]
    if len(names) > MOST_COMPONENTS or not all(map(_is_name, names)):
        raise MalformedRecordError(f"it refers to {names!r}, which is no File ID")
    file = folder.joinpath(*names)
    if not file.resolve().is_relative_to(folder.resolve()):
        raise MalformedRecordError(f"it refers to {file}, which a link leads out of the file-set")
    return file


def check_instance(record: "Dataset", file: Path) -> None:
    """Have a file hold the instance that its record says.

    Raises
    ------
    OtherInstanceError
        It holds another.
    MalformedRecordError
        It cannot be read.
    """
    try:
        found = texts(scan_file(file, {_SOP_INSTANCE}).attributes, _SOP_INSTANCE)
    except (NotPart10, MalformedDataset, OSError) as error:
        raise MalformedRecordError(f"the file cannot be read: {error}") from error
    expected = str(read_value(record, "ReferencedSOPInstanceUIDInFile") or "")
    if found != (expected,):
        held = found[0] if found else "no instance"
        raise OtherInstanceError(f"the file holds {held}, not {expected}")


def _read_offset(record: "Dataset", keyword: str, problems: list[str]) -> int:
    try:
        value = read_value(record, keyword) or 0
        if isinstance(value, int):
            return value
        problems.append(f"a record has {keyword} that is no number")
    except MalformedRecordError as error:
        problems.append(f"a record is not as it should be: {error}")
    return 0


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name not in {"", ".", ".."}
        and not any(character in name for character in "/\\\0:")
    )
