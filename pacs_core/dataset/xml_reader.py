"""The reader of the Native DICOM Model (PS3.19 A.1).

XML is parsed by expat as the standard library has it, with handlers that refuse a document type
declaration: so there are no entities but the five that XML has, and nothing is ever fetched.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from typing import Any, Final
from xml.parsers import expat

from attrs import define, field

from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import BULK_VRS
from pacs_core.dataset.model_values import (
    KNOWN_VRS,
    MAX_DEPTH,
    MAX_LENGTH,
    PERSON_NAME_GROUPS,
    Fetch,
    MalformedModel,
    declare_utf_8,
    shown_path,
    text_element,
)

# Theory of operation
#
# A document is read as it arrives: expat calls a handler for each start tag, end tag and piece of
# text. What is open is kept in three stacks, since three things nest differently: the names of tags
# (`_names`, to check that each is where it may be), sets of elements (`_sets`: the dataset, and
# items within it), and the attributes that are being read (`_attributes`).
#
# Which tag may be in which is a table (`_PARENTS`), and so is what a tag does when it begins and
# ends (`_STARTS`, `_ENDS`). A tag that no table knows is refused before anything is done about it.
#
# Values have numbers, which need not ascend: they are collected by number, and gaps are empty
# values. Names of persons come in parts, which are put together when the name ends.
#
# Private attributes name their creator instead of a block (PS3.19 A.1.5.2), so a block is reserved
# for it here, as a writer of a dataset has to do.

COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def read_xml(
    pieces: bytes | Iterable[bytes],
    *,
    fetch: Fetch | None = None,
    max_length: int = MAX_LENGTH,
    max_depth: int = MAX_DEPTH,
) -> ElementSet:
    """Read a Native DICOM Model.

    Parameters
    ----------
    pieces : bytes, or iterable of bytes
        The document, perhaps as it arrives.
    fetch : callable, optional
        Returns the value that the UUID or URI of bulk data names, see :data:`Fetch`; without it,
        such elements are refused.
    max_length : int
        Bytes that the document may have.
    max_depth : int
        How deeply sequences may nest.

    Returns
    -------
    ElementSet
        Its text is UTF-8.

    Raises
    ------
    MalformedModel
        It is none, or has a document type declaration.
    """
    reader = _XmlReader(fetch, max_depth)
    length = 0
    try:
        for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
            length += len(piece)
            # Before expat has it: what is too long is not even parsed.
            if length > max_length:
                raise MalformedModel(f"the XML is longer than the {max_length} bytes allowed")
            reader.parser.Parse(piece, False)
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise MalformedModel(f"no XML: {error}") from error
    except (LookupError, UnicodeError) as error:
        raise MalformedModel(f"no XML: its encoding is not known: {error}") from error
    return declare_utf_8(reader.root.element_set())


@define
class _Attribute:
    tag: int
    vr: str
    path: ElementPath
    values: dict[int, str] = field(factory=dict)
    items: list[ElementSet] = field(factory=list)
    data: "bytes | BulkData | None" = None


@define
class _Set:
    path: ElementPath
    elements: dict[int, DataElement] = field(factory=dict)

    def element_set(self) -> ElementSet:
        return ElementSet(self.elements, ("ISO_IR 192",))


class _XmlReader:
    """Handlers of expat, and what is open: elements and sets of elements in turn."""

    def __init__(self, fetch: Fetch | None, max_depth: int) -> None:
        self.root = _Set(())
        self._fetch = fetch
        self._max_depth = max_depth
        self._names: list[str] = []
        self._sets: list[_Set] = []
        self._attributes: list[_Attribute] = []
        self._number = 1
        self._text: list[str] = []
        self._components: dict[tuple[str, str], str] = {}
        self.parser = parser = expat.ParserCreate(namespace_separator=" ")
        # Else a long text comes in hundreds of pieces.
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append

    def _refuse(self, *_: Any) -> None:
        raise MalformedModel("the XML has a document type declaration, which is not allowed")

    def _start(self, full_name: str, given: dict[str, str]) -> None:
        # Whatever the namespace: writers disagree on it, and the names are unmistakable.
        name = full_name.rpartition(" ")[2]
        parent = self._names[-1] if self._names else ""
        if parent not in _PARENTS.get(name, ()):
            raise MalformedModel(f"<{name[:32]}> in <{parent}> where there can be none")
        self._names.append(name)
        self._text.clear()
        if name in _STARTS:
            _STARTS[name](self, given)

    def _end(self, full_name: str) -> None:
        name = self._names.pop()
        if name in _ENDS:
            _ENDS[name](self, "".join(self._text))
        elif name in COMPONENTS:
            self._components[self._names[-1], name] = "".join(self._text)
        self._text.clear()

    def _start_model(self, given: dict[str, str]) -> None:
        self._sets.append(self.root)

    def _start_attribute(self, given: dict[str, str]) -> None:
        parent = self._sets[-1]
        tag = _tag(given.get("tag", ""))
        if creator := given.get("privateCreator", ""):
            tag = _private_tag(tag, creator, parent)
        vr = given.get("vr") or vr_of(tag)
        path = (*parent.path, tag)
        if vr not in KNOWN_VRS:
            raise MalformedModel(f"{shown_path(path)}: there is no VR {vr[:8]!r}")
        self._attributes.append(_Attribute(tag, vr, path))

    def _end_attribute(self, text: str) -> None:
        done = self._attributes.pop()
        if done.tag & 0xFFFF:
            self._sets[-1].elements[done.tag] = _element(done)

    def _start_item(self, given: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        if attribute.vr != "SQ":
            raise MalformedModel(f"{shown_path(attribute.path)}: VR {attribute.vr} has no items")
        if len(self._sets) > self._max_depth:
            raise MalformedModel(f"sequences nest deeper than {self._max_depth}")
        self._sets.append(_Set((*attribute.path, len(attribute.items))))

    def _end_item(self, text: str) -> None:
        self._attributes[-1].items.append(self._sets.pop().element_set())

    def _start_value(self, given: dict[str, str]) -> None:
        text = given.get("number", "1")
        if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= 1 << 20):
            raise MalformedModel(f"a value has the number {text[:16]!r}")
        self._number = int(text)
        self._components.clear()

    def _end_value(self, text: str) -> None:
        self._attributes[-1].values[self._number] = text

    def _end_name(self, text: str) -> None:
        groups = (
            "^".join(self._components.get((group, name), "") for name in COMPONENTS).rstrip("^")
            for group in PERSON_NAME_GROUPS
        )
        self._attributes[-1].values[self._number] = "=".join(groups).rstrip("=")

    def _end_binary(self, text: str) -> None:
        attribute = self._attributes[-1]
        try:
            data = b64decode("".join(text.split()), validate=True)
        except (Base64Error, ValueError) as error:
            where = shown_path(attribute.path)
            raise MalformedModel(f"{where}: InlineBinary is no base64: {error}") from error
        attribute.data = data + b"\0" * (len(data) % 2)

    def _start_bulk(self, given: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        reference = given.get("uuid") or given.get("uri") or ""
        if self._fetch is None:
            where = shown_path(attribute.path)
            raise MalformedModel(f"{where}: bulk data by reference, where none can be followed")
        attribute.data = self._fetch(attribute.path, attribute.vr, reference) or b""


def _element(done: _Attribute) -> DataElement:
    if done.data is not None:
        if done.vr == "SQ":
            raise MalformedModel(f"{shown_path(done.path)}: bulk data of VR SQ")
        return DataElement(done.tag, done.vr, done.data)
    if done.vr == "SQ":
        return DataElement(done.tag, "SQ", tuple(done.items))
    if done.vr in BULK_VRS and done.values:
        raise MalformedModel(f"{shown_path(done.path)}: VR {done.vr} takes InlineBinary, no Value")
    last = max(done.values, default=0)
    values = tuple(done.values.get(number, "") for number in range(1, last + 1))
    try:
        return text_element(done.tag, done.vr, values)
    except UnencodableValue as error:
        raise MalformedModel(f"{shown_path(done.path)}: {error}") from error


def _tag(text: str) -> int:
    if not re.fullmatch("[0-9A-Fa-f]{8}", text, re.ASCII):
        raise MalformedModel(f"{text[:32]!r} is no tag of eight hexadecimal digits")
    return int(text, 16)


def _private_tag(tag: int, creator: str, within: _Set) -> int:
    """Return the tag in the block of its creator, which is reserved if need be (PS3.5 §7.8.1)."""
    group, known = tag >> 16, within.element_set()
    if not group & 1 or tag & 0xFF00:
        return tag
    blocks = [group << 16 | block for block in range(0x10, 0x100)]
    # Two attributes of one creator share a block.
    reserved = next((b for b in blocks if "".join(known.texts(b)) == creator), None)
    if reserved is None:
        reserved = next((b for b in blocks if b not in within.elements), None)
    if reserved is not None:
        within.elements.setdefault(reserved, text_element(reserved, "LO", (creator,)))
        return group << 16 | (reserved & 0xFF) << 8 | tag & 0xFF
    raise MalformedModel(f"group {group:04X} has no block left for {creator[:64]!r}")


_PARENTS: Final[dict[str, tuple[str, ...]]] = {
    "NativeDicomModel": ("",),
    "DicomAttribute": ("NativeDicomModel", "Item"),
    **dict.fromkeys(
        ("Value", "PersonName", "Item", "InlineBinary", "BulkData"), ("DicomAttribute",)
    ),
    **dict.fromkeys(PERSON_NAME_GROUPS, ("PersonName",)),
    **dict.fromkeys(COMPONENTS, PERSON_NAME_GROUPS),
}
_STARTS: Final[dict[str, Callable[[_XmlReader, dict[str, str]], None]]] = {
    "NativeDicomModel": _XmlReader._start_model,
    "DicomAttribute": _XmlReader._start_attribute,
    "Item": _XmlReader._start_item,
    "Value": _XmlReader._start_value,
    "PersonName": _XmlReader._start_value,
    "BulkData": _XmlReader._start_bulk,
}
_ENDS: Final[dict[str, Callable[[_XmlReader, str], None]]] = {
    "DicomAttribute": _XmlReader._end_attribute,
    "Item": _XmlReader._end_item,
    "Value": _XmlReader._end_value,
    "PersonName": _XmlReader._end_name,
    "InlineBinary": _XmlReader._end_binary,
}
