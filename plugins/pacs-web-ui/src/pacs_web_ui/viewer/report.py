"""SR documents as a tree for a page (PS3.3 C.17.3): what each content item is called, and says."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import frozen

from pacs_core.dataset import ElementSet, tag_of
from pacs_web_ui.rendering import show_name

_MOST: Final = 20_000  # content items
_DEEPEST: Final = 40  # levels; a browser draws no more in a useful way

_STATES: Final = ("complete", "partial", "verified", "unverified")


@frozen
class Reference:
    """An instance that a content item refers to, and the first of its frames that it names."""

    instance: str
    frame: str = ""


@frozen
class ContentItem:
    """A content item (PS3.3 C.17.3).

    Attributes
    ----------
    name : str
        Meaning of its concept name; perhaps empty.
    kind : str
        Value Type, such as ``"NUM"``.
    relation : str
        Relationship to the item that it is in, such as ``"HAS PROPERTIES"``.
    value : str
        For people.
    reference : Reference or None
    children : tuple of ContentItem
    """

    name: str
    kind: str
    relation: str
    value: str = ""
    reference: Reference | None = None
    children: "tuple[ContentItem, ...]" = ()


@frozen
class Report:
    """An SR document.

    Attributes
    ----------
    title : str
    states : tuple of str
        ``"complete"`` or ``"partial"``, ``"verified"`` or ``"unverified"`` (PS3.3 C.17.2).
    facts : tuple of (str, str)
        What else is known of the document as a whole: a name in English, and a value.
    items : tuple of ContentItem
        Content of the root.
    is_whole : bool
        Whether all of it is there; else it was too large or too deep.
    """

    title: str
    states: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    items: tuple[ContentItem, ...] = ()
    is_whole: bool = True


def read_report(elements: ElementSet) -> Report:
    """Return the document that elements are."""
    reader = _Reader()
    items = tuple(reader.children(elements, 0))
    title = _meaning(elements, "ConceptNameCodeSequence") or _text(elements, "SeriesDescription")
    flags = (_text(elements, each).lower() for each in ("CompletionFlag", "VerificationFlag"))
    states = tuple(each for each in flags if each in _STATES)
    return Report(title, states, tuple(_facts(elements)), items, not reader.is_cut)


class _Reader:
    """Reads content items, up to a number and a depth."""

    def __init__(self) -> None:
        self._left = _MOST
        self.is_cut = False

    def children(self, parent: ElementSet, depth: int) -> Iterator[ContentItem]:
        for each in _items(parent, "ContentSequence"):
            if not self._left or depth == _DEEPEST:
                self.is_cut = True
                return
            self._left -= 1
            yield self._item(each, depth)

    def _item(self, item: ElementSet, depth: int) -> ContentItem:
        kind = _text(item, "ValueType")
        read = _VALUES.get(kind)
        value = read(item) if read else ""
        if not kind and (there := item.texts(tag_of("ReferencedContentItemIdentifier"))):
            value = "→ " + ".".join(there)  # by reference: the place of another item (C.17.3.1)
        return ContentItem(
            _meaning(item, "ConceptNameCodeSequence"), kind, _text(item, "RelationshipType"),
            value, _reference(item), tuple(self.children(item, depth + 1)),
        )  # fmt: skip


def _facts(elements: ElementSet) -> Iterator[tuple[str, str]]:
    if name := show_name(_text(elements, "PatientName")):
        yield "Patient", name
    if number := _text(elements, "PatientID"):
        yield "Patient ID", number
    if date := _text(elements, "ContentDate"):
        yield "Date", _moment(date + _text(elements, "ContentTime"))
    for observer in _items(elements, "VerifyingObserverSequence"):
        who = show_name(_text(observer, "VerifyingObserverName"))
        parts = (who, _text(observer, "VerifyingOrganization"))
        yield "Verified by", ", ".join(part for part in parts if part)
    if institution := _text(elements, "InstitutionName"):
        yield "Institution", institution


def _items(elements: ElementSet, keyword: str) -> tuple[ElementSet, ...]:
    found = elements.elements.get(tag_of(keyword))
    return found.items if found else ()


def _text(elements: ElementSet, keyword: str) -> str:
    return "\\".join(elements.texts(tag_of(keyword))).strip()


def _meaning(elements: ElementSet, keyword: str) -> str:
    for code in _items(elements, keyword):
        values = (_text(code, "CodeMeaning"), _text(code, "CodeValue"))
        return next((value for value in values if value), "")
    return ""


def _moment(text: str) -> str:
    """Return a date, a time or both (PS3.5 DA, TM, DT) as people read it."""
    digits = text[:14]
    if not digits.isdigit() or len(digits) < 8:
        return text
    date = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    clock = ":".join(digits[at : at + 2] for at in range(8, len(digits) - 1, 2))
    return f"{date} {clock}".strip()


def _clock(item: ElementSet) -> str:
    text = _text(item, "Time")
    parts = [text[at : at + 2] for at in range(0, min(len(text), 6), 2)]
    return ":".join(parts) if text[:2].isdigit() else text


def _measured(item: ElementSet) -> str:
    for value in _items(item, "MeasuredValueSequence"):
        unit = next(iter(_items(value, "MeasurementUnitsCodeSequence")), None)
        symbol = _text(unit, "CodeValue") if unit else ""
        # UCUM writes what has no unit as 1, and what is no unit of the SI in brackets.
        is_plain = not set("[]{}") & set(symbol)
        meaning = _meaning(value, "MeasurementUnitsCodeSequence")
        shown = "" if symbol == "1" else symbol if is_plain else meaning
        return f"{_text(value, 'NumericValue')} {shown}".strip()
    return _meaning(item, "NumericValueQualifierCodeSequence")


def _coordinates(item: ElementSet) -> str:
    points = item.texts(tag_of("GraphicData"))
    return f"{_text(item, 'GraphicType')} ({len(points)})"


_VALUES: Final[Mapping[str, Callable[[ElementSet], str]]] = {
    "TEXT": lambda item: _text(item, "TextValue"),
    "CODE": lambda item: _meaning(item, "ConceptCodeSequence"),
    "NUM": _measured,
    "PNAME": lambda item: show_name(_text(item, "PersonName")),
    "DATE": lambda item: _moment(_text(item, "Date")),
    "TIME": _clock,
    "DATETIME": lambda item: _moment(_text(item, "DateTime")),
    "UIDREF": lambda item: _text(item, "UID"),
    "SCOORD": _coordinates,
    "SCOORD3D": _coordinates,
    "TCOORD": lambda item: _text(item, "TemporalRangeType"),
}
"""How the value of each Value Type is said; a container has none, images have references."""


def _reference(item: ElementSet) -> Reference | None:
    for each in _items(item, "ReferencedSOPSequence"):
        uid = _text(each, "ReferencedSOPInstanceUID")
        frames = each.texts(tag_of("ReferencedFrameNumber"))
        return Reference(uid, frames[0] if frames else "") if uid else None
    return None
