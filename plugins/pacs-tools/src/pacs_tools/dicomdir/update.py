"""``pacs dicomdir update``: a DICOMDIR that is to say again what its folder holds.

Records that stay keep their elements, as they are encoded, private ones as well; only the offsets
between them are new (PS3.3 F.3.2.2). New records are those that ``create`` would make. A DICOMDIR
of which something cannot be followed is refused: what cannot be reached would be lost. The new one
is written beside the old one, and takes its name when it is on the disk.
"""

import re
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from attrs import define, field

from pacs_core.api.file_commands import CommandError, Draft, Option, complain, say, walk
from pacs_core.dataset import tag_of
from pacs_tools.dicomdir.encoding import encode_directory
from pacs_tools.dicomdir.instances import Instance, read_instances
from pacs_tools.dicomdir.records import (
    FIRST,
    KEYS,
    LAST,
    LOWER,
    MOST_COMPONENTS,
    NEXT,
    Directory,
    MalformedRecordError,
    OtherInstanceError,
    check_instance,
    file_of,
    read_directory,
    read_value,
)
from pacs_tools.dicomdir.tree import Node

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_RECORDS: Final = tag_of("DirectoryRecordSequence")
_COMPONENT: Final = re.compile("[A-Z0-9_]{1,8}")
_INACTIVE: Final = 0
"""Record In-use Flag (0004,1410) of a record that is not to be used."""

Place = tuple[tuple[str, str], ...]
"""Types and keys of a record and those above it."""


@define(eq=False)
class Entry:
    """A record, and those below it.

    Attributes
    ----------
    record : Dataset
    file : Path or None
        What it refers to, and is to stay.
    lower : list of Entry
    gone : bool
        Whether the file that it refers to is not there any more.
    """

    record: "Dataset"
    file: Path | None = None
    lower: "list[Entry]" = field(factory=list)
    gone: bool = False

    def encode(self, following: int, lower: int) -> bytes:
        """Return its elements; see `Branch`."""
        setattr(self.record, NEXT, following)
        setattr(self.record, LOWER, lower)
        return _encode(self.record)


def update(path: Path, /, *, dry_run: Annotated[bool, Option()] = False) -> int:
    """Add new files of a folder to its DICOMDIR, and drop the records of files that are gone.

    All other records, private ones, and the attributes of the file-set stay. Files must have names
    that PS3.10 allows on media; they are not changed. The DICOMDIR is written whole or not at all.

    Parameters
    ----------
    path
        A DICOMDIR, or the folder that it is in.
    dry_run
        Write nothing, and print what would be.
    """
    path = path / "DICOMDIR" if path.is_dir() else path
    directory = read_directory(path)
    problems: list[str] = []
    top = _read_tree(directory, problems)
    removed = _prune(top)
    added = _add_new(top, path, problems)
    for problem in problems:
        complain(problem)
    for file in removed:
        say(f"- {file}")
    for file in added:
        say(f"+ {file}")
    if directory.shift:
        say(f"offsets that were wrong by {directory.shift} bytes become right")
    if (added or removed or directory.shift) and not dry_run:
        draft = Draft(path.parent)
        try:
            for piece in encode_directory(partial(_encode_head, directory.dataset), top):
                draft.write(piece)
            draft.write(_encode(directory.dataset[_RECORDS + 1 :]))
            draft.finish(name=path.name, durable=True)
        finally:
            draft.discard()
    say(f"{len(added)} added, {len(removed)} removed" + (", if it is done" if dry_run else ""))
    return 1 if problems else 0


def _read_tree(directory: Directory, problems: list[str]) -> list[Entry]:
    """Return the records of the root, with all below; raise if one cannot be followed."""
    path = directory.path
    syntax = directory.dataset.file_meta.get("TransferSyntaxUID")
    wrong: list[str] = []
    if syntax != "1.2.840.10008.1.2.1":
        wrong.append(f"{path}: it is not in Explicit VR Little Endian, as PS3.10 §8.6 has it")
    levels: list[list[Entry]] = [[]]
    for record, depth in directory.walk(wrong):
        entry = Entry(record)
        try:
            _check_file(entry, path.parent, problems)
        except MalformedRecordError as error:
            kind = record.get("DirectoryRecordType", "")
            wrong.append(f"{path}: {kind} at byte {record.seq_item_tell}: {error}")
        del levels[depth + 1 :]
        levels[depth].append(entry)
        levels.append(entry.lower)
    if wrong:
        for problem in wrong:
            complain(problem)
        raise CommandError(
            f"{path}: it is left as it is; make another file-set by `pacs dicomdir create`"
        )
    return levels[0]


def _check_file(entry: Entry, folder: Path, problems: list[str]) -> None:
    for keyword in ("DirectoryRecordType", "RecordInUseFlag", *KEYS.values()):
        read_value(entry.record, keyword)
    if "MRDRDirectoryRecordOffset" in entry.record:
        raise MalformedRecordError("it refers to a multi-referenced file record, which is retired")
    if read_value(entry.record, "RecordInUseFlag") == _INACTIVE:
        return
    entry.file = file_of(entry.record, folder)
    if entry.file is None:
        return
    entry.gone = not entry.file.is_file()
    if not entry.gone:
        try:
            check_instance(entry.record, entry.file)
        except OtherInstanceError:
            entry.gone = True
        except MalformedRecordError as error:
            problems.append(f"{entry.file}: {error}; its record stays")


def _prune(entries: list[Entry]) -> list[Path]:
    """Take away records of files that are gone, and those that have nothing below for that."""
    removed: list[Path] = []
    for entry in list(entries):
        below = _prune(entry.lower)
        removed += below
        if entry.gone and entry.file is not None:
            removed.append(entry.file)
        emptied = bool(below) and entry.record.DirectoryRecordType in KEYS
        if (entry.gone or emptied) and not entry.lower:
            entries.remove(entry)
    return removed


def _add_new(top: list[Entry], path: Path, problems: list[str]) -> list[Path]:
    """Add records of files that no record refers to; return the files."""
    places = dict[Place, Entry]()
    known = {str(e.record.get("ReferencedSOPInstanceUIDInFile")): e.file for e in _flatten(top)}
    _find_places(top, (), places)
    referenced = {entry.file for entry in _flatten(top)} | {path}
    files = [found for found, _ in walk([path.parent]) if found not in referenced]
    added: list[Path] = []
    for instance in read_instances(((file, False) for file in files), problems, 0):
        file, uid = instance.path, instance.uid
        names = file.relative_to(path.parent).parts
        if known.get(uid):
            problems.append(f"{file}: {known[uid]} is the same instance")
        elif len(names) > MOST_COMPONENTS or not all(map(_COMPONENT.fullmatch, names)):
            problems.append(
                f"{file}: its name is no File ID: that has up to 8 parts of up to 8 capital "
                "letters, digits and underscores (PS3.10 §8.2)"
            )
        else:
            _insert(top, places, instance, names)
            added.append(file)
    return added


def _find_places(entries: list[Entry], above: Place, places: dict[Place, Entry]) -> None:
    for entry in entries:
        kind = entry.record.get("DirectoryRecordType")
        if kind in KEYS and entry.record.get("RecordInUseFlag") != _INACTIVE:
            place = (*above, (kind, str(entry.record.get(KEYS[kind]))))
            places.setdefault(place, entry)
            _find_places(entry.lower, place, places)


def _insert(
    top: list[Entry], places: dict[Place, Entry], instance: Instance, names: tuple[str, ...]
) -> None:
    """Put the record of an instance below those that are there, or become so."""
    entries: list[Entry] = top
    place: Place = ()
    *above, own = instance.records
    for record in above:
        place = (*place, (record.type, record.key))
        if place not in places:
            places[place] = Entry(_decode(Node(record)))
            entries.append(places[place])
        entries = places[place].lower
    entries.append(Entry(_decode(Node(own, instance, names=names))))


def _decode(node: Node) -> "Dataset":
    from pydicom.filereader import read_dataset

    return read_dataset(BytesIO(node.encode(0, 0)), is_implicit_VR=False, is_little_endian=True)


def _encode_head(dataset: "Dataset", first: int, last: int) -> bytes:
    """Return all before the records."""
    from pydicom import dcmwrite

    head = dataset[:_RECORDS]
    head.preamble, head.file_meta = dataset.preamble, dataset.file_meta
    setattr(head, FIRST, first)
    setattr(head, LAST, last)
    out = BytesIO()
    dcmwrite(out, head, enforce_file_format=True)
    return out.getvalue()


def _encode(dataset: "Dataset") -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    return out.getvalue()


def _flatten(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        yield from _flatten(entry.lower)
