"""The reader of HL7 CDA documents: what people have to see of them (CDA Release 2, §1.2.3).

A document has a header, of which a reader must see who it is about, who wrote it and when, and a
body: sections with a title and a narrative block each, or something that is no XML.

It comes from outside. Expat, of the standard library, reads it, and a document type declaration is
refused: there are no entities but the five that XML has, and nothing is ever fetched. Stylesheets
that it names are not looked at. How long, how deep and how many it may be is bounded.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from attrs import define, frozen

MOST_BYTES: Final = 16 << 20
_MOST_ELEMENTS: Final = 50_000
_MOST_TEXT: Final = 2 << 20
"""Characters, those of pictures and the like that are within left out: they are not shown."""
_DEEPEST: Final = 100
_NAMESPACE: Final = "urn:hl7-org:v3"
_TEXT: Final = re.compile(r"text/plain\b", re.IGNORECASE)


class DocumentError(ValueError):
    """It is no HL7 CDA document that can be shown; the message says why."""


@frozen
class Section:
    """A section of the body.

    Attributes
    ----------
    title : str
    narrative : Element or None
        Its narrative block; tags are without a namespace.
    sections : tuple of Section
        Those within it.
    """

    title: str
    narrative: Element | None
    sections: "tuple[Section, ...]" = ()


@frozen
class ClinicalDocument:
    """A document.

    Attributes
    ----------
    title : str
    language : str
        Tag, such as ``de-DE``; empty if it is not said.
    lines : tuple of str
        What the header says, each of one thing: the patient, when it is of, its authors, where it
        is kept.
    sections : tuple of Section
    text : str
        The body, if it is plain text instead.
    other : str
        Media type of the body, if it is something else, which is not shown.
    """

    title: str
    language: str = ""
    lines: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    text: str = ""
    other: str = ""


def read_document(content: bytes) -> ClinicalDocument:
    """Return the document that bytes are.

    Raises
    ------
    DocumentError
        They are none, or one that is not read.
    """
    if len(content) > MOST_BYTES:
        raise DocumentError(f"the document has more than {MOST_BYTES >> 20} MiB")
    root = _parse(_without_padding(content))
    if root.tag != "ClinicalDocument":
        raise DocumentError(f"this is a {root.tag[:40]}, and no ClinicalDocument of HL7")
    code = root.find("code")
    named = "" if code is None else code.get("displayName", "")
    title = _text_of(root.find("title")) or named
    language = root.find("languageCode")
    tag = "" if language is None else language.get("code", "")
    is_tag = re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}", tag)
    text, other = _other_body(root.find("component/nonXMLBody/text"))
    return ClinicalDocument(
        title,
        tag if is_tag else "",
        tuple(filter(None, _lines(root))),
        tuple(_sections(root.iterfind("component/structuredBody/component/section"))),
        text,
        other,
    )


@define
class _Handlers:
    """Handlers of expat, and the tree that they build."""

    tree: TreeBuilder
    depth: int = 0
    elements: int = 0
    characters: int = 0
    coded_from: int = 0
    """Depth of the element whose text is a picture or the like; 0 if it is none."""

    def start(self, name: str, given: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > _DEEPEST or self.elements > _MOST_ELEMENTS:
            raise DocumentError("the document is nested too deeply, or has too many elements")
        namespace, _, local = name.rpartition(" ")
        is_coded = given.get("representation") == "B64"
        if (
            is_coded
            and not self.coded_from
            and not _TEXT.match(given.get("mediaType", "text/plain"))
        ):
            self.coded_from = self.depth
        # Of other namespaces, extensions as they are, nothing is known: they are no narrative.
        self.tree.start(local if namespace in {_NAMESPACE, ""} else f"x:{local}", given)

    def data(self, text: str) -> None:
        if self.coded_from:
            return
        self.characters += len(text)
        if self.characters > _MOST_TEXT:
            raise DocumentError("the document has too much text")
        self.tree.data(text)

    def end(self, _name: str) -> None:
        if self.coded_from == self.depth:
            self.coded_from = 0
        self.depth -= 1
        self.tree.end("")

    def refuse(self, *_declaration: object) -> None:
        raise DocumentError("the document declares a document type, which is not read")


def _without_padding(content: bytes) -> bytes:
    """Return a document without the bytes that fill its value, which may be part of UTF-16."""
    found = content.rstrip(b"\0")
    is_wide = content[:2] in {b"\xff\xfe", b"<\0"}
    return found + b"\0" if is_wide and len(found) % 2 else found


def _parse(content: bytes) -> Element:
    handlers = _Handlers(TreeBuilder())
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = handlers.start
    parser.EndElementHandler = handlers.end
    parser.CharacterDataHandler = handlers.data
    parser.StartDoctypeDeclHandler = handlers.refuse
    try:
        parser.Parse(content, True)
        return handlers.tree.close()
    except expat.ExpatError as error:
        raise DocumentError(f"the document is no XML: {error}") from error
    except (LookupError, UnicodeError) as error:
        raise DocumentError(f"the encoding of the document is not known: {error}") from error


def _sections(found: Iterator[Element]) -> Iterator[Section]:
    for each in found:
        within = tuple(_sections(each.iterfind("component/section")))
        yield Section(_text_of(each.find("title")), each.find("text"), within)


def _other_body(element: Element | None) -> tuple[str, str]:
    """Return the plain text that a body is, or else the media type of what it is."""
    if element is None:
        return "", ""
    media_type = element.get("mediaType", "text/plain")
    if not _TEXT.match(media_type):
        return "", media_type[:80]
    text = "".join(element.itertext())
    if element.get("representation") == "B64":
        try:
            text = b64decode(text).decode("utf-8", "replace")
        except ValueError:
            return "", media_type[:80]
    return text.strip(), ""


def _lines(root: Element) -> Iterator[str]:
    """Iterate over what the header says."""
    for role in root.iterfind("recordTarget/patientRole"):
        patient = role.find("patient")
        name = born = ""
        if patient is not None:
            name, born = _name(patient.find("name")), _moment(patient.find("birthTime"))
        numbers = [each.get("extension", "") for each in role.iterfind("id")]
        yield _join(name, born, *numbers)
    authors = [
        _join(
            _name(each.find("assignedPerson/name")),
            _text_of(each.find("representedOrganization/name")),
        )
        for each in root.iterfind("author/assignedAuthor")
    ]
    yield _join(_moment(root.find("effectiveTime")), *authors)
    keeper = "custodian/assignedCustodian/representedCustodianOrganization/name"
    yield _text_of(root.find(keeper))


def _join(*parts: str) -> str:
    return " · ".join(dict.fromkeys(filter(None, parts)))


def _name(element: Element | None) -> str:
    """Return a name as it is said: parts in their order, or its text."""
    if element is None:
        return ""
    parts = [_text_of(each) for each in element]
    return " ".join(filter(None, parts)) or _text_of(element)


def _moment(element: Element | None) -> str:
    """Return a point in time (HL7 TS) as people read it."""
    value = "" if element is None else element.get("value", "")
    digits = re.match(r"\d*", value, re.ASCII)
    found = digits.group() if digits else ""
    date = "-".join(filter(None, (found[:4], found[4:6], found[6:8])))
    clock = ":".join(filter(None, (found[8:10], found[10:12])))
    return f"{date} {clock}".strip()


def _text_of(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
