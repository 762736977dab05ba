"""``pacs dicomdir update``: a DICOMDIR that is to say again what its folder holds.

Records that stay keep their elements, as they are encoded, private ones as well; only the offsets
between them are new (PS3.3 F.3.2.2). New records are those that ``create`` would make. A DICOMDIR
of which something cannot be followed is refused: what cannot be reached would be lost. The new one
is written beside the old one, and takes its name when it is on the disk.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from attrs import define, evolve, field

from pacs_core.api.file_commands import CommandError, Draft, Option, complain, say, walk
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementSet,
    encode_elements,
    read_elements,
    tag_of,
)
from pacs_tools.dicomdir.encoding import encode_directory
from pacs_tools.dicomdir.instances import Instance, read_instances
from pacs_tools.dicomdir.records import (
    FIRST,
    KEYS,
    LAST,
    LOWER,
    MOST_COMPONENTS,
    NEXT,
    RECORDS,
    Directory,
    DirectoryRecord,
    MalformedRecordError,
    OtherInstanceError,
    check_instance,
    file_of,
    read_directory,
)
from pacs_tools.dicomdir.tree import Node
from pacs_tools.files import DicomFile

_COMPONENT: Final = re.compile("[A-Z0-9_]{1,8}")
_INACTIVE: Final = "0"
"""Record In-use Flag (0004,1410) of a record that is not to be used."""

Place = tuple[tuple[str, str], ...]
"""Types and keys of a record and those above it."""


@define(eq=False)
class Entry:
    """A record, and those below it.

    Attributes
    ----------
    record : DirectoryRecord
    file : Path or None
        What it refers to, and is to stay.
    lower : list of Entry
    gone : bool
        Whether the file that it refers to is not there any more.
    """

    record: DirectoryRecord
    file: Path | None = None
    lower: "list[Entry]" = field(factory=list)
    gone: bool = False

    def encode(self, following: int, lower: int) -> bytes:
        """Return its elements; see `Branch`."""
        return _encode(_set_numbers(self.record.elements, {NEXT: following, LOWER: lower}))


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
    with (directory := read_directory(path)).file:
        return _update(directory, dry_run)


def _update(directory: Directory, dry_run: bool) -> int:
    path, problems = directory.file.path, list[str]()
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
            for piece in encode_directory(partial(_encode_head, directory.file), top):
                draft.write(piece)
            draft.write(_encode_some(directory.file, after=True))
            draft.finish(name=path.name, durable=True)
        finally:
            draft.discard()
    say(f"{len(added)} added, {len(removed)} removed" + (", if it is done" if dry_run else ""))
    return 1 if problems else 0


def _read_tree(directory: Directory, problems: list[str]) -> list[Entry]:
    """Return the records of the root, with all below; raise if one cannot be followed."""
    file, wrong = directory.file, list[str]()
    if file.meta.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
        wrong.append(f"{file.path}: it is not in Explicit VR Little Endian, as PS3.10 §8.6 has it")
    try:
        for after in (False, True):
            _load(file, _select(file.elements, after))
    except MalformedRecordError as error:
        wrong.append(f"{file.path}: {error}")
    levels: list[list[Entry]] = [[]]
    for record, depth in directory.walk(wrong):
        entry = Entry(record)
        try:
            entry.record = evolve(record, elements=_load(file, record.elements))
            _check_file(entry, file.path.parent, problems)
        except MalformedRecordError as error:
            elements, kind = record.elements, tag_of("DirectoryRecordType")
            shown = "".join(elements.texts(kind))
            wrong.append(f"{file.path}: {shown} at byte {record.offset}: {error}")
        del levels[depth + 1 :]
        levels[depth].append(entry)
        levels.append(entry.lower)
    if wrong:
        for problem in wrong:
            complain(problem)
        raise CommandError(
            f"{file.path}: it is left as it is; make another file-set by `pacs dicomdir create`"
        )
    return levels[0]


def _load(file: DicomFile, elements: ElementSet) -> ElementSet:
    """Return elements with the pixels of icons, which were left where they are."""
    loaded = dict[int, DataElement]()
    for tag, element in elements.elements.items():
        value = element.value
        if isinstance(value, BulkData):
            if value.length is None:
                raise MalformedRecordError("it holds compressed pixels, which it may not")
            loaded[tag] = evolve(
                element, value=b"".join(file.read_bulk(value.offset, value.length))
            )
        elif element.items:
            items = tuple(_load(file, item) for item in element.items)
            loaded[tag] = evolve(element, value=items)
    return evolve(elements, elements={**elements.elements, **loaded}) if loaded else elements


def _check_file(entry: Entry, folder: Path, problems: list[str]) -> None:
    record = entry.record
    for keyword in ("DirectoryRecordType", "RecordInUseFlag", *KEYS.values()):
        record.texts(keyword)
    if tag_of("MRDRDirectoryRecordOffset") in record.elements.elements:
        raise MalformedRecordError("it refers to a multi-referenced file record, which is retired")
    if _is_inactive(record):
        return
    entry.file = file_of(record, folder)
    if entry.file is None:
        return
    entry.gone = not entry.file.is_file()
    if not entry.gone:
        try:
            check_instance(record, entry.file)
        except OtherInstanceError:
            entry.gone = True
        except MalformedRecordError as error:
            problems.append(f"{entry.file}: {error}; its record stays")


def _is_inactive(record: DirectoryRecord) -> bool:
    return record.text("RecordInUseFlag") == _INACTIVE


def _prune(entries: list[Entry]) -> list[Path]:
    """Take away records of files that are gone, and those that have nothing below for that."""
    removed: list[Path] = []
    for entry in list(entries):
        below = _prune(entry.lower)
        removed += below
        if entry.gone and entry.file is not None:
            removed.append(entry.file)
        emptied = bool(below) and entry.record.text("DirectoryRecordType") in KEYS
        if (entry.gone or emptied) and not entry.lower:
            entries.remove(entry)
    return removed


def _add_new(top: list[Entry], path: Path, problems: list[str]) -> list[Path]:
    """Add records of files that no record refers to; return the files."""
    places = dict[Place, Entry]()
    known = {e.record.text("ReferencedSOPInstanceUIDInFile"): e.file for e in _flatten(top)}
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
        kind = entry.record.text("DirectoryRecordType")
        if kind in KEYS and not _is_inactive(entry.record):
            place = (*above, (kind, entry.record.text(KEYS[kind])))
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


def _decode(node: Node) -> DirectoryRecord:
    return DirectoryRecord(read_elements(node.encode(0, 0), EXPLICIT_VR_LITTLE_ENDIAN), 0)


def _encode_head(file: DicomFile, first: int, last: int) -> bytes:
    """Return all before the records."""
    return file.head + _encode_some(file, numbers={FIRST: first, LAST: last})


def _encode_some(
    file: DicomFile, *, after: bool = False, numbers: Mapping[str, int] = MappingProxyType({})
) -> bytes:
    """Return the elements of a DICOMDIR before its records, or after them."""
    return _encode(_set_numbers(_load(file, _select(file.elements, after)), numbers))


def _select(elements: ElementSet, after: bool) -> ElementSet:
    """Return what is before the records, or after them."""
    found = elements.elements.items()
    some = {tag: each for tag, each in found if tag != RECORDS and (tag > RECORDS) == after}
    return evolve(elements, elements=some)


def _set_numbers(elements: ElementSet, numbers: Mapping[str, int]) -> ElementSet:
    made = {
        tag_of(keyword): DataElement(tag_of(keyword), "UL", number.to_bytes(4, "little"))
        for keyword, number in numbers.items()
    }
    return evolve(elements, elements={**elements.elements, **made})


def _encode(elements: ElementSet) -> bytes:
    return b"".join(encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN))


def _flatten(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        yield from _flatten(entry.lower)
