"""Directory records that are made of instances (PS3.3 F.5), in as many processes as there are.

Of each file some attributes are read, and come back as the bytes of its records: little goes from
one process to another, and what is in memory for an instance is as much as the DICOMDIR has of it.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import complain, map_files
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    MalformedDataset,
    MutableAttributes,
    NotPart10,
    UnencodableValue,
    Value,
    best_character_set,
    encode_attributes,
    keyword_of,
    scan_file,
    tag_of,
    texts,
)
from pacs_tools.dicomdir.record_types import RECORD_TYPES, RecordType, types_for
from pacs_tools.dicomdir.records import DIRECTORY, KEYS
from pacs_tools.files import explain

_INVENTED: Final = {
    tag_of(keyword): value
    for keyword, value in {
        "PatientID": "UNKNOWN", "StudyDate": "19000101", "StudyTime": "000000", "StudyID": "1",
        "Modality": "OT", "SeriesNumber": "1", "InstanceNumber": "1",
    }.items()
}  # fmt: skip
"""Attributes of Type 1 of directory records that instances may lack (PS3.3 F.5)."""

_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
_SOP_CLASS, _SOP_INSTANCE = tag_of("SOPClassUID"), tag_of("SOPInstanceUID")
_CONTENT, _RELATIONSHIP = tag_of("ContentSequence"), tag_of("RelationshipType")
_WANTED: Final = frozenset(
    {_CHARACTER_SET, _SOP_CLASS, _SOP_INSTANCE}
    | {tag for each in RECORD_TYPES.values() for tag in each.attributes}
)


@frozen
class MadeRecord:
    """A record of an instance, or one above that.

    Attributes
    ----------
    type : str
        Directory Record Type.
    key : str
        What tells it from others below the same one.
    attributes : bytes
        Encoded: all but its links and what it refers to.
    """

    type: str
    key: str
    attributes: bytes


@frozen
class Instance:
    """An instance, and the records that lead to it from the root.

    Attributes
    ----------
    path : Path
    sop_class, uid, syntax : str
    records : tuple of MadeRecord
    """

    path: Path
    sop_class: str
    uid: str
    syntax: str
    records: tuple[MadeRecord, ...]


class _NoRecordError(ValueError):
    """No record can be made of an instance."""


def read_instances(
    files: Iterable[tuple[Path, bool]], problems: list[str], jobs: int
) -> Iterator[Instance]:
    """Iterate over the instances in files, each once, in the order of the files.

    Parameters
    ----------
    files : iterable of (Path, bool)
        With whether each was named, rather than found in a folder.
    problems : list of str
        What cannot be added is.
    jobs : int
        Processes, see `map_files`.
    """
    seen: dict[str, Path] = {}
    for found in map_files(_read, files, jobs, label="reading"):
        if isinstance(found, str):
            problems += [found] if found else []
        elif found.uid in seen:
            problems.append(f"{found.path}: {seen[found.uid]} is the same instance")
        else:
            seen[found.uid] = found.path
            yield found


def _read(found: tuple[Path, bool]) -> Instance | str:
    """Return an instance, or why there is none; nothing if the file is to be passed over."""
    path, named = found
    try:
        scanned = scan_file(path, _WANTED)
    except (NotPart10, MalformedDataset, OSError) as error:
        reason = explain(path, named, error)
        return f"{path}: {reason}" if reason else ""
    meta, attributes = scanned.meta, scanned.attributes
    if meta.sop_class_uid == DIRECTORY:
        return ""
    if not meta.dataset_offset:
        return f"{path}: not a DICOM file: it has no File Meta Information" if named else ""
    uid = "".join(texts(attributes, _SOP_INSTANCE)[:1])
    sop_class = "".join(texts(attributes, _SOP_CLASS)[:1]) or meta.sop_class_uid
    if not uid or not meta.transfer_syntax_uid:
        return f"{path}: it has no SOP Instance UID, or no transfer syntax"
    charset = texts(attributes, _CHARACTER_SET)
    try:
        records = tuple(
            _make(each, _fill(path, each, attributes), charset) for each in types_for(sop_class)
        )
    except (_NoRecordError, UnencodableValue) as error:
        return f"{path}: no directory record can be made: {error}"
    return Instance(path, sop_class, uid, meta.transfer_syntax_uid, records)


def _fill(path: Path, type_: RecordType, attributes: Attributes) -> MutableAttributes:
    """Return the attributes of a record; say which are invented."""
    made: MutableAttributes = {}
    for tag, kind in type_.attributes.items():
        value: tuple[Value, ...] = attributes.get(tag, ())
        if tag == _CONTENT:  # of the tree what modifies the title (PS3.3 F.5.20)
            value = tuple(
                item
                for item in value
                if isinstance(item, dict) and texts(item, _RELATIONSHIP) == ("HAS CONCEPT MOD",)
            )
        is_empty = not any(value)
        if is_empty and kind == "1" and tag in _INVENTED:
            complain(
                f"{path}: it has no {keyword_of(tag)}: its directory record has an invented one"
            )
            value = (_INVENTED[tag],)
        elif is_empty and kind == "1":
            raise _NoRecordError(f"it has no {keyword_of(tag)}, which a record {type_.name} has")
        if not is_empty or kind != "1C":
            made[tag] = value
    return made


def _make(type_: RecordType, attributes: MutableAttributes, charset: tuple[str, ...]) -> MadeRecord:
    key = tag_of(KEYS[type_.name]) if type_.name in KEYS else None
    # Those above are the same for many instances.
    encode = _encode if key is None else _encode_once
    encoded = encode(tuple(attributes.items()), charset)
    return MadeRecord(type_.name, "".join(texts(attributes, key)) if key else "", encoded)


def _encode(
    attributes: tuple[tuple[int, tuple[Value, ...]], ...], charset: tuple[str, ...]
) -> bytes:
    values = dict(attributes)
    chosen = best_character_set(values, charset)
    return encode_attributes(values, EXPLICIT_VR_LITTLE_ENDIAN, chosen)


_encode_once = lru_cache(64)(_encode)
