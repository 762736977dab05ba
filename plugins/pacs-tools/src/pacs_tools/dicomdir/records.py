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
from typing import Final

from attrs import field, frozen

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import (
    ElementSet,
    MalformedDataset,
    NotPart10,
    scan_file,
    tag_of,
    texts,
    vrs_of,
)
from pacs_tools.files import DicomFile, open_dicom

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

RECORDS: Final = tag_of("DirectoryRecordSequence")
_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")
_NUMBER: Final = 4
"""Bytes of an offset."""


class MalformedRecordError(ValueError):
    """A record has a value that it cannot have."""


class OtherInstanceError(MalformedRecordError):
    """A file holds another instance than its record says."""


@frozen
class DirectoryRecord:
    """A directory record, as it was read.

    Attributes
    ----------
    elements : ElementSet
    offset : int
        The byte at which it begins.
    """

    elements: ElementSet
    offset: int

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute, none if it is absent.

        Raises
        ------
        MalformedRecordError
            They are no text.
        """
        tag = tag_of(keyword)
        element = self.elements.elements.get(tag)
        if element is not None and element.vr not in vrs_of(tag):
            raise MalformedRecordError(f"its {keyword} cannot be read: its VR is {element.vr}")
        return self.elements.texts(tag)

    def text(self, keyword: str) -> str:
        """Return the values of an attribute as one text; see `texts`."""
        return "\\".join(self.texts(keyword))


@frozen
class Directory:
    """A DICOMDIR as it was read.

    Attributes
    ----------
    file : DicomFile
        To be closed by whoever reads it.
    records : dict of int to DirectoryRecord
        By the byte at which each begins.
    shift : int
        Bytes by which all its offsets are too small.
    """

    file: DicomFile
    records: dict[int, DirectoryRecord] = field(repr=False)
    shift: int = 0

    def walk(self, problems: list[str]) -> Iterator[tuple[DirectoryRecord, int]]:
        """Iterate over records with their levels, each before those below it.

        Parameters
        ----------
        problems : list of str
            What is wrong with the file and its offsets is added.
        """
        path = self.file.path
        if self.file.damage:
            problems.append(f"{path}: damaged: {self.file.damage}")
        pending, reached = [(_read_offset(self.file.elements, FIRST, problems), 0)], set[int]()
        while pending:
            offset, depth = pending.pop()
            if offset == 0:
                continue
            offset += self.shift
            if problem := self._check_offset(offset, depth, reached):
                problems.append(f"{path}: a record refers to one at byte {offset} {problem}")
                continue
            reached.add(offset)
            record = self.records[offset]
            pending.append((_read_offset(record.elements, NEXT, problems), depth))
            pending.append((_read_offset(record.elements, LOWER, problems), depth + 1))
            yield record, depth
        if unreached := len(self.records.keys() - reached):
            problems.append(f"{path}: {unreached} records cannot be reached")

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
    try:
        file = open_dicom(path, with_offsets=True)
    except NotPart10 as error:
        raise CommandError(f"{path}: not a DICOM file") from error
    try:
        return _find_records(file)
    except BaseException:
        file.__exit__()
        raise


def _find_records(file: DicomFile) -> Directory:
    if not file.has_meta:
        raise CommandError(f"{file.path}: not a DICOM file")
    if file.meta.sop_class_uid != DIRECTORY:
        raise CommandError(f"{file.path}: is no DICOMDIR")
    sequence = file.elements.elements.get(RECORDS)
    if sequence is None or sequence.vr != "SQ":
        raise CommandError(f"{file.path}: it has no Directory Record Sequence, or is truncated")
    offsets = (file.offsets[RECORDS, number] for number in range(len(sequence.items)))
    records = {
        offset: DirectoryRecord(item, offset)
        for offset, item in zip(offsets, sequence.items, strict=True)
    }
    return Directory(file, records, _find_shift(file.elements, records))


def _find_shift(elements: ElementSet, records: dict[int, DirectoryRecord]) -> int:
    """Return by how much all offsets are too small if that, and nothing else, is wrong."""
    ignored: list[str] = []
    offsets = {_read_offset(elements, FIRST, ignored)}
    for record in records.values():
        offsets |= {_read_offset(record.elements, each, ignored) for each in (NEXT, LOWER)}
    offsets -= {0}
    if not offsets or offsets <= records.keys():
        return 0
    # The first item is the one to which the first offset leads: nobody writes another one first.
    shift = min(records) - min(offsets)
    return shift if {offset + shift for offset in offsets} <= records.keys() else 0


def file_of(record: DirectoryRecord, folder: Path) -> Path | None:
    """Return the file that a record refers to, None if to none.

    Raises
    ------
    MalformedRecordError
        It refers to what is no file of the file-set, or to none though it must.
    """
    names = record.texts("ReferencedFileID")
    if not names:
        if record.text("DirectoryRecordType") not in WITHOUT_FILE:
            raise MalformedRecordError("it refers to no file")
        return None
    if len(names) > MOST_COMPONENTS or not all(map(_is_name, names)):
        raise MalformedRecordError(f"it refers to {list(names)!r}, which is no File ID")
    file = folder.joinpath(*names)
    if not file.resolve().is_relative_to(folder.resolve()):
        raise MalformedRecordError(f"it refers to {file}, which a link leads out of the file-set")
    return file


def check_instance(record: DirectoryRecord, file: Path) -> None:
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
    expected = record.text("ReferencedSOPInstanceUIDInFile")
    if found != (expected,):
        held = found[0] if found else "no instance"
        raise OtherInstanceError(f"the file holds {held}, not {expected}")


def _read_offset(elements: ElementSet, keyword: str, problems: list[str]) -> int:
    element = elements.elements.get(tag_of(keyword))
    if element is None or element.value == b"":
        return 0
    if element.vr == "UL" and isinstance(element.value, bytes) and len(element.value) == _NUMBER:
        return int.from_bytes(element.value, "little")
    problems.append(f"a record has {keyword} that is no number of four bytes")
    return 0


def _is_name(name: str) -> bool:
    return name not in {"", ".", ".."} and not any(character in name for character in "/\\\0:")
