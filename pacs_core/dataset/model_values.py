"""Common ground of the JSON and XML models: options, paths, numbers, private blocks.

Both represent values as text and numbers, bulk data by a reference, and leave out what they cannot
express; whoever asks is told of that (PS3.18 Annex F, PS3.19 Annex A.1).
"""

import math
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import frozen

from pacs_core.dataset.charset import UTF_8
from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.layout import BULK_VRS, NARROW_VRS, WIDE_VRS, shown
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET
from pacs_core.dataset.values import decode_value, value_encoder

ReferTo: TypeAlias = Callable[[ElementPath, DataElement], str | None]
"""Given a path and an element, returns the URI or UUID of its bulk data; None leaves it out."""

Fetch: TypeAlias = Callable[[ElementPath, str, str], "bytes | BulkData | None"]
"""Given a path, a VR and a reference, returns the value that it names; None for an empty one."""

Warn: TypeAlias = Callable[[str], None]

MAX_LENGTH: Final = 64 << 20
MAX_DEPTH: Final = 100

REFERABLE_VRS: Final = frozenset(
    "DS FL FD IS LT OB OD OF OL OV OW SL SS ST SV UC UL UN US UT UV".split()  # noqa: SIM905
)
"""Representations whose values may be given by reference (PS3.18 F.2.2)."""

INTEGER_VRS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
FLOAT_VRS: Final = frozenset({"FD", "FL"})
KNOWN_VRS: Final = NARROW_VRS | WIDE_VRS
PERSON_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_EXACT: Final = 1 << 53
"""Integers beyond it are not exact in what reads JSON numbers as doubles."""


class MalformedModel(ValueError):  # noqa: N818
    """What should be DICOM JSON or Native DICOM XML is none; the message says what and where."""


def ignore(warning: str) -> None:
    """Take a warning, and do nothing."""


@frozen
class ModelOptions:
    """How a dataset is represented.

    Attributes
    ----------
    refer : callable
        See :data:`ReferTo`; by default bulk data are left out.
    warn : callable
        Told of each value that is left out, or not given as it is.
    """

    refer: ReferTo = lambda path, element: None
    warn: Warn = ignore

    def reference(self, path: ElementPath, element: DataElement) -> str | None:
        """Return the reference to an element's bulk data, if it may have one."""
        if element.vr not in REFERABLE_VRS:
            self.warn(f"{shown_path(path)}: a value of VR {element.vr} is too long, left out")
            return None
        reference = self.refer(path, element)
        if reference is None:
            self.warn(f"{shown_path(path)}: bulk data are left out")
        return reference


def shown_path(path: ElementPath) -> str:
    """Return a path for messages: ``(0040,A730)[0](0040,A160)``."""
    return "".join(f"[{n}]" if index % 2 else shown(n) for index, n in enumerate(path))


def number_text(vr: str, text: str) -> str | None:
    """Return the JSON number that a value of VR IS, DS, SV or UV is; None if it is none.

    What cannot be one without losing something remains a string (PS3.18 F.2.3, note).
    """
    text = text.strip()
    if vr == "DS":
        if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
            return None
        return text if _JSON_NUMBER.fullmatch(text) else repr(float(text))
    if not _INTEGER.fullmatch(text) or not -_EXACT <= int(text) <= _EXACT:
        return None
    return str(int(text))


def texts_of(element: DataElement, character_sets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of an element that has bytes and is not bulk."""
    assert isinstance(element.value, bytes)  # noqa: S101 - for the type checker
    return decode_value(element.vr, element.value, True, character_sets)


def is_binary(element: DataElement) -> bool:
    """Tell whether a value is given as bytes, in base64."""
    return isinstance(element.value, bytes) and element.vr in BULK_VRS


def text_element(tag: int, vr: str, values: tuple[str, ...]) -> DataElement:
    """Return an element with values in UTF-8, or numbers.

    Raises
    ------
    UnencodableValue
        Text that is no number is given for one.
    """
    return DataElement(tag, vr, value_encoder(vr, True)(values, (UTF_8,)) if values else b"")


def declare_utf_8(elements: ElementSet) -> ElementSet:
    """Return elements whose text is UTF-8 with a Specific Character Set that says so.

    What is ASCII throughout keeps what it declares, which may be needed to restore its source
    (PS3.18 F.2.2, note 3).
    """
    if _is_ascii(elements):
        return elements
    declared = text_element(SPECIFIC_CHARACTER_SET, "CS", (UTF_8,))
    within = _without_declarations(elements)
    return ElementSet({**within.elements, SPECIFIC_CHARACTER_SET: declared}, (UTF_8,))


def _is_ascii(elements: ElementSet) -> bool:
    return all(
        element.vr in BULK_VRS or element.value.isascii()
        if isinstance(element.value, bytes)
        else all(map(_is_ascii, element.items))
        for element in elements.elements.values()
        if element.vr not in INTEGER_VRS | FLOAT_VRS | {"AT"}
    )


def _without_declarations(elements: ElementSet) -> ElementSet:
    kept = {
        tag: DataElement(tag, "SQ", tuple(map(_without_declarations, element.items)))
        if element.items
        else element
        for tag, element in elements.elements.items()
        if tag != SPECIFIC_CHARACTER_SET
    }
    return ElementSet(kept, (UTF_8,))
