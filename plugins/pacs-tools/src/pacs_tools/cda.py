"""Attributes of an HL7 CDA document, read from its header (PS3.3 C.24.2).

The standard library's expat reads it, and only up to what is looked for: a document may be long. A
document type declaration is refused, so there are no entities but the five that XML has.
"""

from typing import Final
from xml.parsers import expat

from attrs import define, frozen

_SCHEMES: Final = {
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.96": "SCT",
    "1.2.840.10008.2.16.4": "DCM",
}
"""Coding Scheme Designators by the OIDs of HL7 (PS3.16 Table 8-1)."""

_LONGEST: Final = 1024
"""Characters of a Document Title (VR ST)."""


@frozen
class CdaHeader:
    """The header of a document; what it lacks is empty.

    Attributes
    ----------
    identifier : str
        Root and extension, as HL7 Instance Identifier has them: ``root^extension``.
    title : str
    code : tuple of str
        Code Value, Coding Scheme Designator and Code Meaning of the type of document.
    """

    identifier: str = ""
    title: str = ""
    code: tuple[str, str, str] | None = None


def read_header(begin: bytes) -> CdaHeader:
    """Return what the beginning of a document says; what is no XML says nothing."""
    found = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(begin, False)
    except (expat.ExpatError, ValueError):
        return CdaHeader()
    return CdaHeader(found.identifier, " ".join(found.title.split())[:_LONGEST], found.code)


def _refuse(*declaration: object) -> None:
    raise ValueError("a document type is declared")


@define
class _Reader:
    """Handlers of expat; attributes of the document are one level below its root."""

    depth: int = 0
    identifier: str = ""
    title: str = ""
    code: tuple[str, str, str] | None = None
    in_title: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        local = name.rpartition(" ")[2]
        if self.depth != 2:
            return
        self.in_title = local == "title"
        if local == "id" and not self.identifier:
            parts = attributes.get("root", ""), attributes.get("extension", "")
            self.identifier = "^".join(filter(None, parts))
        elif local == "code":
            self._learn_code(attributes)

    def _learn_code(self, attributes: dict[str, str]) -> None:
        value, scheme = attributes.get("code", ""), _SCHEMES.get(attributes.get("codeSystem", ""))
        meaning = attributes.get("displayName", "") or value
        if scheme and 0 < len(value) <= 16 and len(meaning) <= 64:
            self.code = (value, scheme, meaning)

    def end(self, name: str) -> None:
        self.depth -= 1
        self.in_title = self.in_title and self.depth >= 2

    def text(self, text: str) -> None:
        if self.in_title and len(self.title) <= _LONGEST:
            self.title += text
