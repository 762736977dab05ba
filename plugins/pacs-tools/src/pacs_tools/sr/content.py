"""Content trees of SR documents, as what people read (PS3.3 C.17.3)."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from attrs import field, frozen

from pacs_core.dataset import ElementSet, tag_of
from pacs_tools.names import uid_name

_CONTENT: Final = tag_of("ContentSequence")
_POINTS: Final = 4
"""Coordinates that are shown of a region."""


@frozen
class Code:
    """A coded concept (PS3.3 §8); empty texts if there is none."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        return self.meaning or self.value


@frozen
class ContentItem:
    """A content item.

    Attributes
    ----------
    number : str
        Its place in the tree, as ``1.2.3``.
    relationship : str
        To the item above, as ``CONTAINS``; empty for the root.
    value_type : str
        ``TEXT``, ``NUM``, ...; empty if it refers to another item.
    name : Code
        The concept that it is about.
    value : str
        For people.
    code : Code
        The value of a CODE, or the unit of a NUM.
    qualifier : Code
        Why a NUM has no value, or what is odd about it.
    elements : ElementSet
        Its attributes.
    items : tuple of ContentItem
        What it is the source of.
    """

    number: str
    relationship: str
    value_type: str
    name: Code
    value: str
    code: Code
    qualifier: Code
    elements: ElementSet = field(repr=False)
    items: "tuple[ContentItem, ...]" = ()

    def walk(self) -> "Iterator[ContentItem]":
        """Iterate over it and all below it, in the order of the document."""
        yield self
        for item in self.items:
            yield from item.walk()


_tag: Final = cache(tag_of)
"""A report has hundreds of items, of which each is asked for the same attributes."""


def read_content(elements: ElementSet) -> ContentItem | None:
    """Return the root of the content tree of an SR document; None if there is none."""
    if text(elements, "ValueType") != "CONTAINER":
        return None
    return _read(elements, "1")


def text(elements: ElementSet, keyword: str) -> str:
    """Return the first value of an attribute; empty if there is none."""
    return "".join(elements.texts(_tag(keyword))[:1])


def items_of(elements: ElementSet, keyword: str) -> tuple[ElementSet, ...]:
    """Return the items of a sequence; none if it is absent."""
    element = elements.elements.get(_tag(keyword))
    return element.items if element is not None else ()


def code_of(elements: ElementSet, keyword: str) -> Code:
    """Return the coded concept in the first item of a sequence."""
    for item in items_of(elements, keyword)[:1]:
        value = text(item, "CodeValue") or text(item, "LongCodeValue") or text(item, "URNCodeValue")
        return Code(value, text(item, "CodingSchemeDesignator"), text(item, "CodeMeaning"))
    return Code()


def _read(elements: ElementSet, number: str) -> ContentItem:
    # Nesting is limited by the reader, far below the depth of Python's calls.
    kind = text(elements, "ValueType")
    measured = items_of(elements, "MeasuredValueSequence")[:1]
    return ContentItem(
        number=number,
        relationship=text(elements, "RelationshipType"),
        value_type=kind,
        name=code_of(elements, "ConceptNameCodeSequence"),
        value=_VALUES.get(kind, _nothing)(elements),
        code=code_of(measured[0], "MeasurementUnitsCodeSequence")
        if measured
        else code_of(elements, "ConceptCodeSequence"),
        qualifier=code_of(elements, "NumericValueQualifierCodeSequence"),
        elements=elements,
        items=tuple(
            _read(item, f"{number}.{count}")
            for count, item in enumerate(items_of(elements, "ContentSequence"), 1)
        ),
    )


def _nothing(elements: ElementSet) -> str:
    """Return what an item without a value type refers to (PS3.3 C.17.3.2.5)."""
    target = elements.texts(tag_of("ReferencedContentItemIdentifier"))
    return f"see {'.'.join(target)}" if target else ""


def _number(elements: ElementSet) -> str:
    for measured in items_of(elements, "MeasuredValueSequence")[:1]:
        unit = code_of(measured, "MeasurementUnitsCodeSequence")
        shown = "" if unit.value in {"1", "{ratio}"} else str(unit.value or unit)
        return f"{text(measured, 'NumericValue')} {shown}".rstrip()
    qualifier = code_of(elements, "NumericValueQualifierCodeSequence")
    return f"no value: {qualifier}" if qualifier != Code() else "no value"


def _person(elements: ElementSet) -> str:
    groups = text(elements, "PersonName").split("=")
    shown = (" ".join(filter(None, group.split("^"))) for group in groups)
    return " = ".join(filter(None, shown))


def _reference(elements: ElementSet) -> str:
    """Return what is referred to: kind of object, UID, frames, segments, channels."""
    parts = []
    for item in items_of(elements, "ReferencedSOPSequence"):
        uid = text(item, "ReferencedSOPClassUID")
        name = uid_name(uid).removesuffix(" Storage") or uid
        shown = [f"{name} {text(item, 'ReferencedSOPInstanceUID')}"]
        for keyword, what in (
            ("ReferencedFrameNumber", "frame"), ("ReferencedSegmentNumber", "segment"),
            ("ReferencedWaveformChannels", "channels"),
        ):  # fmt: skip
            if values := item.texts(tag_of(keyword)):
                shown.append(f"{what} {', '.join(values)}")
        parts.append(", ".join(shown))
    return "; ".join(parts)


def _graphic(elements: ElementSet) -> str:
    """Return the kind of a region, and where it is (PS3.3 C.18.6, C.18.9)."""
    data = elements.texts(tag_of("GraphicData"))
    size = 3 if text(elements, "ValueType") == "SCOORD3D" else 2
    points = [data[start : start + size] for start in range(0, len(data), size)]
    shown = " ".join(f"({', '.join(map(_short, point))})" for point in points[:_POINTS])
    more = f" ... {len(points)} points" if len(points) > _POINTS else ""
    return f"{text(elements, 'GraphicType')} {shown}{more}".rstrip()


def _short(number: str) -> str:
    try:
        return f"{float(number):.6g}"
    except ValueError:
        return number


def _times(elements: ElementSet) -> str:
    parts = [text(elements, "TemporalRangeType")]
    for keyword in ("ReferencedSamplePositions", "ReferencedTimeOffsets", "ReferencedDateTime"):
        parts += elements.texts(tag_of(keyword))
    return " ".join(filter(None, parts))


def _table(elements: ElementSet) -> str:
    for table in items_of(elements, "TabulatedValuesSequence")[:1]:
        rows, columns = text(table, "NumberOfTableRows"), text(table, "NumberOfTableColumns")
        return f"table of {rows} rows and {columns} columns"
    return ""


def _plain(keyword: str) -> Callable[[ElementSet], str]:
    return lambda elements: text(elements, keyword)


_VALUES: Final[dict[str, Callable[[ElementSet], str]]] = {
    "": _nothing,
    "TEXT": _plain("TextValue"),
    "NUM": _number,
    "CODE": lambda elements: str(code_of(elements, "ConceptCodeSequence")),
    "DATETIME": _plain("DateTime"),
    "DATE": _plain("Date"),
    "TIME": _plain("Time"),
    "PNAME": _person,
    "UIDREF": _plain("UID"),
    "IMAGE": _reference,
    "COMPOSITE": _reference,
    "WAVEFORM": _reference,
    "SCOORD": _graphic,
    "SCOORD3D": _graphic,
    "TCOORD": _times,
    "TABLE": _table,
    "CONTAINER": lambda elements: "",
}
