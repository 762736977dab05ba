"""The DICOM JSON Model (PS3.18 Annex F): elements to JSON, and back.

What JSON cannot say:

- NaN and infinity are no JSON numbers. A value of VR FL or FD with one is given by reference, where
  `ModelOptions.refer` offers one (F.2.6), else as null (F.2.5), with a warning.
- IS and DS that are no numbers are strings (F.2.3, note), and so are integers beyond 2**53.
- Values too long to be read are given by reference, as far as F.2.2 allows their VR.
"""

import json
import math
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import BULK_VRS
from pacs_core.dataset.model import Attributes, Value
from pacs_core.dataset.model_values import (
    FLOAT_VRS,
    INTEGER_VRS,
    KNOWN_VRS,
    MAX_DEPTH,
    MAX_LENGTH,
    PERSON_NAME_GROUPS,
    Fetch,
    MalformedModel,
    ModelOptions,
    declare_utf_8,
    is_binary,
    number_text,
    shown_path,
    text_element,
    texts_of,
)
from pacs_core.dataset.values import SHORT_VALUE, decode_value

# Theory of operation
#
# Writing makes text directly, element by element, and no tree of objects for `json.dumps`: a
# study's metadata are hundreds of thousands of elements, and the tree would cost several times what
# it says. Each piece is a whole element, so that whoever sends them may wait between two.
#
# There are two sources with two functions. `write_json` has elements as they were read from a
# dataset, with VR and bytes. `attributes_json` has what an index or a response holds: text by tag,
# whose VR is looked up, and which may be no number where the VR says so, because an index keeps
# what it was given.
#
# Reading is strict where something would be lost or guessed, and lenient where the standard leaves
# a choice: a number may be a string, a person name may be one, null is an empty value. JSON is
# parsed by the standard library. Its depth is limited by Python's own, its length before it is
# parsed, and that of sequences while they are walked, so that hostile input ends in
# `MalformedModel`.

__all__ = ["attributes_json", "read_json", "write_json"]

_quote: Final = encode_basestring
_PLAIN_VRS: Final = KNOWN_VRS - BULK_VRS - FLOAT_VRS - {"SQ"}
_MOST_OF_DS: Final = 16
"""Characters that a value of DS has at most (PS3.5 Table 6.2-1)."""
_TEXT_VRS: Final = KNOWN_VRS - BULK_VRS - INTEGER_VRS - FLOAT_VRS - {"IS", "DS", "PN", "SQ"}
_NON_FINITE: Final = {"nan", "inf", "-inf", "infinity", "-infinity"}


def write_json(elements: ElementSet, options: ModelOptions | None = None) -> Iterator[str]:
    """Iterate over the pieces of a DICOM JSON Model object, element by element.

    Parameters
    ----------
    elements : ElementSet
    options : ModelOptions, optional

    Yields
    ------
    str
        Encode it in UTF-8 with ``errors="replace"``: odd text may hold what UTF-8 does not.
    """
    options = options or ModelOptions()
    separator = "{"
    for element in elements:
        yield f"{separator}{_attribute(elements, element, (element.tag,), options)}"
        separator = ","
    yield "}" if separator == "," else "{}"


def _attribute(
    elements: ElementSet, element: DataElement, path: ElementPath, options: ModelOptions
) -> str:
    vr, value = element.vr, element.value
    if vr in _PLAIN_VRS and isinstance(value, bytes) and len(value) <= SHORT_VALUE:
        return _plain_attribute(element.tag, vr, value, elements.character_sets)
    name = f'"{element.tag:08X}":{{"vr":"{vr}"'
    if isinstance(element.value, BulkData):
        reference = options.reference(path, element)
        return f'{name},"BulkDataURI":{_quote(reference)}}}' if reference else f"{name}}}"
    if not element.value:
        return f"{name}}}"
    if vr == "SQ":
        items = ("".join(_item(item, (*path, n), options)) for n, item in enumerate(element.items))
        return f'{name},"Value":[{",".join(items)}]}}'
    if is_binary(element):
        encoded = b64encode(element.value).decode()  # type: ignore[arg-type]
        return f'{name},"InlineBinary":"{encoded}"}}'
    texts = texts_of(element, elements.character_sets)
    if vr in FLOAT_VRS and not all(math.isfinite(float(text)) for text in texts):
        reference = options.refer(path, element)
        if reference:
            return f'{name},"BulkDataURI":{_quote(reference)}}}'
        options.warn(f"{shown_path(path)}: NaN or infinity is given as null")
    values = [_value(vr, text) for text in texts]
    return f'{name},"Value":[{",".join(values)}]}}' if any(texts) else f"{name}}}"


@lru_cache(maxsize=16384)
def _plain_attribute(tag: int, vr: str, raw: bytes, character_sets: tuple[str, ...]) -> str:
    """Return an attribute that depends on nothing else: most say what others have said before."""
    texts = decode_value(vr, raw, True, character_sets)
    values = f',"Value":[{",".join([_value(vr, text) for text in texts])}]' if any(texts) else ""
    return f'"{tag:08X}":{{"vr":"{vr}"{values}}}'


def _item(item: ElementSet, path: ElementPath, options: ModelOptions) -> Iterator[str]:
    yield "{"
    for number, element in enumerate(item):
        yield "," if number else ""
        yield _attribute(item, element, (*path, element.tag), options)
    yield "}"


def _value(vr: str, text: str) -> str:
    if vr in {"IS", "DS", "SV", "UV"} and text:
        return number_text(vr, text) or _quote(text)
    if vr in INTEGER_VRS:
        return text
    if vr in FLOAT_VRS:
        return text if math.isfinite(float(text)) else "null"
    if not text:
        return "null"
    if vr == "PN":
        groups = zip(PERSON_NAME_GROUPS, text.split("="), strict=False)
        named = (f'"{name}":{_quote(group)}' for name, group in groups if group)
        return f"{{{','.join(named)}}}"
    return _quote(text)


def attributes_json(attributes: Attributes) -> str:
    """Return the DICOM JSON Model object of attributes, as an index or a C-FIND response has them.

    Bulk data, of which `attributes` has no values, are left out.
    """
    parts: list[str] = []
    for tag in sorted(attributes):
        prefix, vr = _element_prefix(tag)
        values = attributes[tag]
        if vr in BULK_VRS:
            continue
        if not any(values):
            parts.append(f"{prefix}}}")
        # What nearly all attributes are, without the calls that the others take.
        elif len(values) == 1 and isinstance(text := values[0], str) and vr in _TEXT_VRS:
            parts.append(f'{prefix},"Value":[{_quote(text)}]}}')
        else:
            parts.append(f"{prefix},{_values(vr, values)}}}")
    return f"{{{','.join(parts)}}}"


@lru_cache(maxsize=4096)
def _element_prefix(tag: int) -> tuple[str, str]:
    """Return how an element begins, and its VR."""
    vr = vr_of(tag)
    return f'"{tag:08X}":{{"vr":"{vr}"', vr


def _values(vr: str, values: tuple[Value, ...]) -> str:
    shown = (
        _shown(vr, value) if isinstance(value, str) else attributes_json(value) for value in values
    )
    return f'"Value":[{",".join(shown)}]'


def _shown(vr: str, text: str) -> str:
    """Return a value of an index, which may hold text where a number belongs."""
    if vr in FLOAT_VRS:
        return number_text("DS", text) or "null"
    if vr in INTEGER_VRS:
        return number_text(vr, text) or _quote(text)
    return _value(vr, text)


def read_json(
    text: str | bytes,
    *,
    fetch: Fetch | None = None,
    max_length: int = MAX_LENGTH,
    max_depth: int = MAX_DEPTH,
) -> list[ElementSet]:
    """Read a DICOM JSON Model object, or an array of them, as PS3.18 8.7.3.2 has it.

    Parameters
    ----------
    text : str or bytes
        UTF-8, if bytes.
    fetch : callable, optional
        Returns the value that a BulkDataURI names, see :data:`Fetch`; without it, such elements
        are refused.
    max_length : int
        Characters, or bytes, that it may have.
    max_depth : int
        How deeply sequences may nest.

    Returns
    -------
    list of ElementSet
        Their text is UTF-8.

    Raises
    ------
    MalformedModel
        It is none.
    """
    if len(text) > max_length:
        raise MalformedModel(f"DICOM JSON is longer than the {max_length} bytes allowed")
    try:
        found = json.loads(text)
    except RecursionError:
        raise MalformedModel("DICOM JSON nests too deeply") from None
    except ValueError as error:
        raise MalformedModel(f"no JSON: {error}") from error
    reader = _JsonReader(fetch, max_depth)
    datasets = found if isinstance(found, list) else [found]
    return [declare_utf_8(reader.elements(dataset, ())) for dataset in datasets]


class _JsonReader:
    def __init__(self, fetch: Fetch | None, max_depth: int) -> None:
        self._fetch = fetch
        self._max_depth = max_depth

    def elements(self, found: object, path: ElementPath) -> ElementSet:
        if not isinstance(found, dict):
            raise MalformedModel(f"{shown_path(path) or 'a dataset'} is no JSON object")
        if len(path) > 2 * self._max_depth:
            raise MalformedModel(f"sequences nest deeper than {self._max_depth}")
        elements: dict[int, DataElement] = {}
        for name, attribute in found.items():
            if not (len(name) == 8 and name.isascii() and name.isalnum()):
                raise MalformedModel(f"{name[:32]!r} is no tag of eight hexadecimal digits")
            try:
                tag = int(name, 16)
            except ValueError as error:
                raise MalformedModel(f"{name!r} is no tag") from error
            if tag & 0xFFFF:  # group lengths are not to be there (F.2.2)
                elements[tag] = self._element(tag, attribute, (*path, tag))
        return ElementSet(elements, ("ISO_IR 192",))

    def _element(self, tag: int, attribute: object, path: ElementPath) -> DataElement:
        if not isinstance(attribute, dict):
            raise MalformedModel(f"{shown_path(path)} is no JSON object")
        vr = attribute.get("vr", vr_of(tag))
        if not isinstance(vr, str) or vr not in KNOWN_VRS:
            raise MalformedModel(f"{shown_path(path)}: there is no VR {str(vr)[:8]!r}")
        if "BulkDataURI" in attribute:
            if self._fetch is None:
                raise MalformedModel(
                    f"{shown_path(path)}: a BulkDataURI, where none can be followed"
                )
            return DataElement(tag, vr, self._fetch(path, vr, str(attribute["BulkDataURI"])) or b"")
        if "InlineBinary" in attribute:
            return _binary(tag, vr, attribute["InlineBinary"], path)
        values = attribute.get("Value", [])
        if not isinstance(values, list):
            raise MalformedModel(f"{shown_path(path)}: Value is no array")
        if vr == "SQ":
            # An empty item may be null (PS3.18 F.2.5).
            items = (self.elements(item or {}, (*path, n)) for n, item in enumerate(values))
            return DataElement(tag, vr, tuple(items))
        if vr in INTEGER_VRS | FLOAT_VRS and all(value == "" for value in values):
            values = []  # some write what is empty so
        if vr in BULK_VRS and values:
            raise MalformedModel(f"{shown_path(path)}: VR {vr} takes InlineBinary, no Value")
        try:
            return text_element(tag, vr, tuple(_text(vr, value) for value in values))
        except (UnencodableValue, TypeError, ValueError) as error:
            raise MalformedModel(f"{shown_path(path)}: {error}") from error


def _binary(tag: int, vr: str, encoded: object, path: ElementPath) -> DataElement:
    if vr == "SQ" or not isinstance(encoded, str):
        raise MalformedModel(f"{shown_path(path)}: InlineBinary of VR {vr} is no base64 text")
    try:
        value = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise MalformedModel(f"{shown_path(path)}: no base64: {error}") from error
    return DataElement(tag, vr, value + b"\0" * (len(value) % 2))


def _text(vr: str, value: Any) -> str:
    """Return one value as text."""
    if vr == "PN":
        return _person_name(value)
    if vr in FLOAT_VRS:
        return _float(value)
    if value is None:
        return "0" if vr in INTEGER_VRS else ""
    # A bool is an int to Python, and no value to DICOM.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"a value of VR {vr} is no {type(value).__name__}")
    if isinstance(value, float) and vr in INTEGER_VRS | {"IS"} and value.is_integer():
        value = int(value)
    if isinstance(value, float) and vr == "DS" and len(repr(value)) > _MOST_OF_DS:
        # As many digits as there is room for: sign, point and exponent take up to 7 of it.
        texts = (f"{value:.{digits}g}" for digits in range(_MOST_OF_DS - 1, 8, -1))
        return next(text for text in texts if len(text) <= _MOST_OF_DS)
    return str(value)


def _float(value: Any) -> str:
    if value is None:
        # That is how NaN is written, and null of a float has no other meaning (F.2.5).
        return "nan"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{type(value).__name__} is no number")
    if isinstance(value, str) and value.lower() not in _NON_FINITE:
        return str(float(value[:64]))
    return str(value)


def _person_name(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, dict):
        raise TypeError("a person name is no JSON object")
    groups = [value.get(name) or "" for name in PERSON_NAME_GROUPS]
    if not all(isinstance(group, str) for group in groups):
        raise TypeError("a component group of a person name is no string")
    return "=".join(groups).rstrip("=")
