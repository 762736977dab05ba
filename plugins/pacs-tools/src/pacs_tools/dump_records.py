"""The elements of files as records, for ``pacs dump --json``: one for each, in their order."""

from collections.abc import Iterator
from typing import Any, Final

from pacs_core.dataset import ElementPath, ElementSet, keyword_of
from pacs_tools.files import DicomFile
from pacs_tools.names import element_name, known_keyword, known_vr
from pacs_tools.values import show_values

_META: Final = {
    0x0002_0002: ("UI", "sop_class_uid"),
    0x0002_0003: ("UI", "sop_instance_uid"),
    0x0002_0010: ("UI", "transfer_syntax_uid"),
    0x0002_0012: ("UI", "implementation_class_uid"),
    0x0002_0013: ("SH", "implementation_version_name"),
    0x0002_0016: ("AE", "source_ae_title"),
    0x0002_0017: ("AE", "sending_ae_title"),
    0x0002_0018: ("AE", "receiving_ae_title"),
    0x0002_0100: ("UI", "private_creator_uid"),
}
"""VR, and attribute of `FileMeta` (PS3.10 Table 7.1-1)."""

Record = dict[str, Any]


def meta_values(file: DicomFile) -> Iterator[tuple[int, str, str]]:
    """Iterate over tag, VR and value of what the File Meta Information of a file has."""
    for tag, (vr, attribute) in _META.items() if file.has_meta else ():
        if value := getattr(file.meta, attribute):
            yield tag, vr, value


def element_records(file: DicomFile, depth: int) -> Iterator[Record]:
    """Iterate over the elements of a file, each with its place as `pacs modify` takes it.

    Parameters
    ----------
    file : DicomFile
    depth : int
        How deeply to go into sequences; 0 for the top level only.
    """
    for tag, vr, value in meta_values(file):
        yield _record(keyword_of(tag), tag, vr, keyword_of(tag), value, 1)
    yield from _records(file, file.elements, depth, "", ())


def _records(
    file: DicomFile, elements: ElementSet, depth: int, above: str, within: ElementPath
) -> Iterator[Record]:
    for element in elements:
        tag, value, place = element.tag, element.value, (*within, element.tag)
        creator = elements.private_creator(tag) if tag & 0x1_0000 else ""
        vr = known_vr(element.vr, creator, tag, value)
        path = above + _step(tag, creator)
        text, count = show_values(vr, value, elements.character_sets, file.dataset_offset)
        record = _record(path, tag, vr, element_name(creator, tag), text, count)
        if (offset := file.offsets.get(place)) is not None:
            record["offset"] = offset
        yield record
        for number, item in enumerate(element.items if depth else ()):
            yield from _records(file, item, depth - 1, f"{path}[{number + 1}].", (*place, number))


def _record(path: str, tag: int, vr: str, name: str, value: str, count: int) -> Record:
    number = f"{tag:08X}"
    return {"path": path, "tag": number, "vr": vr, "name": name, "value": value, "values": count}


def _step(tag: int, creator: str) -> str:
    """Return an attribute as it is typed."""
    group, element = tag >> 16, tag & 0xFFFF
    if creator:
        return f"{group:04X},[{creator}],{element & 0xFF:02X}"
    return known_keyword(tag) or f"{group:04X},{element:04X}"
