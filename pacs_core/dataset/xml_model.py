"""The Native DICOM Model (PS3.19 A.1): elements to XML, and back.

Characters that XML 1.0 does not allow, such as an escape, are written as U+FFFD with a warning.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Final

from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.dictionary import keyword_of
from pacs_core.dataset.element_reader import read_elements
from pacs_core.dataset.elements import encode_attributes
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.model import Attributes, Value
from pacs_core.dataset.model_values import (
    FLOAT_VRS,
    PERSON_NAME_GROUPS,
    ModelOptions,
    is_binary,
    shown_path,
    texts_of,
)
from pacs_core.dataset.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.dataset.xml_reader import COMPONENTS, read_xml

__all__ = ["attributes_xml", "read_xml", "write_xml"]

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_BEGIN: Final = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" '
    'xml:space="preserve">'
)
_END: Final = "</NativeDicomModel>"
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# Parsers take a carriage return for the end of a line, and each white space in an attribute for a
# space, unless it is a reference. xml.sax.saxutils would bring a client of HTTP with it.
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_QUOTED: Final = _ESCAPES | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
_FLOATS: Final = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}


def write_xml(elements: ElementSet, options: ModelOptions | None = None) -> Iterator[str]:
    """Iterate over the pieces of a Native DICOM Model, element by element; encode it in UTF-8.

    Parameters
    ----------
    elements : ElementSet
    options : ModelOptions, optional
        What `refer` returns is written as a UUID if it is one, else as a URI.
    """
    options = options or ModelOptions()
    yield _BEGIN
    for element in elements:
        yield "".join(_attribute(elements, element, (element.tag,), options))
    yield _END


def attributes_xml(attributes: Attributes) -> str:
    """Return the Native DICOM Model of attributes, as an index or a C-FIND response has them.

    What cannot be encoded in its VR is left out.
    """
    try:
        encoded = _encode(attributes)
    except UnencodableValue:
        encoded = _encode({t: v for t, v in attributes.items() if _is_encodable(t, v)})
    return "".join(write_xml(read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN)))


def _encode(attributes: Attributes) -> bytes:
    return encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))


def _is_encodable(tag: int, values: tuple[Value, ...]) -> bool:
    try:
        _encode({tag: values})
    except UnencodableValue:
        return False
    return True


def _attribute(
    elements: ElementSet, element: DataElement, path: ElementPath, options: ModelOptions
) -> Iterator[str]:
    tag, creator = element.tag, elements.private_creator(element.tag)
    name = keyword_of(tag)
    # The block of a private element is for its Private Creator to say.
    shown = f"{tag & 0xFFFF00FF:08X}" if creator else f"{tag:08X}"
    yield f'<DicomAttribute tag="{shown}" vr="{element.vr}"'
    if name != f"{tag:08X}":
        yield f' keyword="{name}"'
    if creator:
        yield f" privateCreator={_quote(_legal(creator, path, options))}"
    content = "".join(_content(elements, element, path, options))
    yield f">{content}</DicomAttribute>" if content else "/>"


def _content(
    elements: ElementSet, element: DataElement, path: ElementPath, options: ModelOptions
) -> Iterator[str]:
    if isinstance(element.value, BulkData):
        if reference := options.reference(path, element):
            kind = "uuid" if _UUID.fullmatch(reference) else "uri"
            yield f"<BulkData {kind}={_quote(reference)}/>"
        return
    for number, item in enumerate(element.items):
        yield f'<Item number="{number + 1}">'
        for each in item:
            yield from _attribute(item, each, (*path, number, each.tag), options)
        yield "</Item>"
    if element.items or not element.value:
        return
    if is_binary(element):
        yield f"<InlineBinary>{b64encode(element.value).decode()}</InlineBinary>"  # type: ignore[arg-type]
        return
    # Empty values have a number too: that of the last one tells how many there are.
    for number, text in enumerate(texts_of(element, elements.character_sets), 1):
        if element.vr == "PN":
            name = "".join(_person_name(_legal(text, path, options)))
            yield f'<PersonName number="{number}">{name}</PersonName>'
            continue
        text = _FLOATS.get(text, text) if element.vr in FLOAT_VRS else text
        yield f'<Value number="{number}">{_legal(text, path, options).translate(_ESCAPES)}</Value>'


def _person_name(text: str) -> Iterator[str]:
    for group, part in zip(PERSON_NAME_GROUPS, text.split("="), strict=False):
        if not part:
            continue
        yield f"<{group}>"
        for name, component in zip(COMPONENTS, part.split("^", 4), strict=False):
            if component:
                yield f"<{name}>{component.translate(_ESCAPES)}</{name}>"
        yield f"</{group}>"


def _legal(text: str, path: ElementPath, options: ModelOptions) -> str:
    legal = _ILLEGAL.sub("�", text)
    if legal != text:
        options.warn(f"{shown_path(path)}: characters that XML cannot have are given as U+FFFD")
    return legal


def _quote(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'
