"""XML from outside: read by a parser that neither expands, nor fetches, nor grows.

Theory of operation
-------------------
A SOAP message has no document type declaration (SOAP 1.2 part 1, §5), so whatever has one is
refused, and with it every entity of its own: external ones, and those that expand to gigabytes.
libxml2 would expand none here anyway, opens no network connection, and refuses names, texts and
depths beyond its limits, for ``huge_tree`` is off. Depth and number of elements have lower limits
of ours: what walks the tree afterwards must be as safe as the parser.
"""

from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

Element = Any
"""An ``lxml.etree._Element``; lxml has no types."""

MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 200_000

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP_1_1: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
WADO: Final = "urn:dicom:wado:ws:2011"
XDSB: Final = "urn:ihe:iti:xds-b:2007"
XDSI: Final = "urn:ihe:rad:xdsi-b:2009"

_PREFIXES: Final = {
    "env": SOAP,
    "wsa": WSA,
    "wsse": WSSE,
    "xop": XOP,
    "lcm": LCM,
    "query": QUERY,
    "rim": RIM,
    "rs": RS,
    "xdsb": XDSB,
    "xdsi": XDSI,
}
for _prefix, _namespace in _PREFIXES.items():
    etree.register_namespace(_prefix, _namespace)


class MalformedXml(ValueError):  # noqa: N818
    """A text is no XML that is taken here; says why."""


def parse(text: bytes) -> Element:
    """Return the root of a document.

    Raises
    ------
    MalformedXml
        It is not well-formed, has a document type declaration, or exceeds a limit.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXml(f"the message is no well-formed XML: {str(error)[:200]}") from error
    document = root.getroottree().docinfo
    if document.doctype or document.internalDTD is not None:
        raise MalformedXml("the message has a document type declaration (SOAP 1.2 part 1, §5)")
    _check_size(root)
    return root


def _check_size(root: Element) -> None:
    depth = elements = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        elements += event == "start"
        if depth > MAX_DEPTH:
            raise MalformedXml(f"elements are nested more than {MAX_DEPTH} deep")
        if elements > MAX_ELEMENTS:
            raise MalformedXml(f"the message has more than {MAX_ELEMENTS} elements")


def serialize(root: Element) -> bytes:
    """Return a document in UTF-8, with its declaration."""
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return text


def element(namespace: str, name: str, /, *children: Element | str, **attributes: str) -> Element:
    """Return a new element.

    Parameters
    ----------
    namespace, name : str
    *children : element or str
        Its content.
    **attributes : str
        A trailing underscore is left out, for what is a keyword of Python's.

    Raises
    ------
    ValueError
        A text has characters that XML cannot have.
    """
    made = etree.Element(f"{{{namespace}}}{name}")
    for key, value in attributes.items():
        made.set(key.rstrip("_"), value)
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def find(root: Element, namespace: str, name: str) -> Element | None:
    """Return the first child with a name, or None."""
    return root.find(f"{{{namespace}}}{name}")


def find_all(root: Element, namespace: str, name: str) -> Iterator[Element]:
    """Iterate over the descendants with a name, and the element itself if it has it."""
    return iter(root.iter(f"{{{namespace}}}{name}"))


def text_of(root: Element, namespace: str, name: str) -> str:
    """Return the text of a child, stripped; empty if there is none."""
    found = find(root, namespace, name)
    return "" if found is None or not found.text else str(found.text).strip()


def clean(text: str) -> str:
    """Return a text without the characters that XML 1.0 cannot have (§2.2)."""
    return "".join(
        each
        for each in text
        if each in "\t\n\r" or "\x20" <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd"
        or each >= "\U00010000"
    )  # fmt: skip
