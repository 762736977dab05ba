"""Values of content items as people read them, for each Value Type (PS3.3 Table C.17.3-7)."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from pacs_core.dataset import BulkData, ElementSet, tag_of, uid_name
from pacs_core.sr.content import Code, Reference, code_of, items_of, text_of

VALUE_TYPES: Final = frozenset(
    {
        *("CODE", "COMPOSITE", "CONTAINER", "DATE", "DATETIME", "IMAGE", "NUM", "PNAME"),
        *("SCOORD", "SCOORD3D", "TABLE", "TCOORD", "TEXT", "TIME", "UIDREF", "WAVEFORM"),
    }
)
"""Those of the standard."""

_POINTS: Final = 4
"""Coordinates that are shown of a region."""

_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)?\.?(\d\d)?", re.ASCII)
_TIME: Final = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?", re.ASCII)
_MOMENT: Final = re.compile(r"(\d{4,8})(\d\d(?:\d\d){0,2}(?:\.\d{1,6})?)?([+-]\d{4})?", re.ASCII)


def value_of(elements: ElementSet, value_type: str) -> str:
    """Return what an item says; empty for a container, and for what is not known."""
    said = _VALUES.get(value_type)
    return said(elements) if said is not None else ""


def references_of(elements: ElementSet) -> Iterator[Reference]:
    """Iterate over what an item refers to, and a presentation state for it (PS3.3 C.18.4)."""
    for item in items_of(elements, "ReferencedSOPSequence"):
        uid = text_of(item, "ReferencedSOPClassUID")
        parts = tuple(
            (what, ", ".join(values))
            for keyword, what in (
                ("ReferencedSegmentNumber", "Segment"),
                ("ReferencedWaveformChannels", "Channels"),
            )
            if (values := item.texts(tag_of(keyword)))
        )
        yield Reference(
            uid,
            text_of(item, "ReferencedSOPInstanceUID"),
            _kind(uid),
            item.texts(tag_of("ReferencedFrameNumber")),
            parts,
        )
        yield from references_of(item)


def show_name(name: str) -> str:
    """Return a person name (PS3.5 PN): family first, its component groups one after the other."""
    groups = (_group(group) for group in name.split("="))
    return " = ".join(filter(None, groups))


def show_date(date: str) -> str:
    """Return a date (PS3.5 DA) with hyphens; what is none stays as it is."""
    found = _DATE.fullmatch(date)
    return "-".join(filter(None, found.groups())) if found else date


def show_time(time: str) -> str:
    """Return a time (PS3.5 TM) with colons; what is none stays as it is."""
    found = _TIME.fullmatch(time)
    if not found:
        return time
    hours, minutes, seconds, fraction = found.groups("")
    return ":".join(filter(None, (hours, minutes, seconds))) + fraction


def show_moment(moment: str) -> str:
    """Return a date with a time (PS3.5 DT); what is none stays as it is."""
    found = _MOMENT.fullmatch(moment)
    if not found:
        return moment
    date, time, zone = found.groups("")
    zone = f"{zone[:3]}:{zone[3:]}" if zone else ""
    return " ".join(filter(None, (show_date(date), show_time(time), zone)))


@cache
def _kind(sop_class_uid: str) -> str:
    return uid_name(sop_class_uid).removesuffix(" Storage") or sop_class_uid[:64]


def _group(group: str) -> str:
    family, given, middle, prefix, suffix, *_ = (*map(str.strip, group.split("^")), *[""] * 5)
    forenames = " ".join(filter(None, (prefix, given, middle)))
    return ", ".join(filter(None, (family, forenames, suffix)))


def _text(elements: ElementSet) -> str:
    element = elements.elements.get(tag_of("TextValue"))
    if element is not None and isinstance(element.value, BulkData):
        return f"[a text of {element.value.length} bytes, which is not shown]"
    return text_of(elements, "TextValue")


def _number(elements: ElementSet) -> str:
    qualifier = str(code_of(elements, "NumericValueQualifierCodeSequence"))
    for measured in items_of(elements, "MeasuredValueSequence")[:1]:
        number = text_of(measured, "NumericValue") or text_of(measured, "FloatingPointValue")
        unit = show_unit(code_of(measured, "MeasurementUnitsCodeSequence"))
        qualifier = f"({qualifier})" if number and qualifier else qualifier
        return " ".join(filter(None, (number, unit if number else "", qualifier)))
    return qualifier


def show_unit(unit: Code) -> str:
    """Return a unit: its symbol, or where people would not write that, its meaning.

    UCUM writes what has no unit as 1, and what is no unit of the SI in brackets.
    """
    if unit.value == "1":
        return ""
    is_symbol = unit.scheme in {"UCUM", ""} and not set("[]{}") & set(unit.value)
    return unit.value if unit.value and is_symbol else str(unit)


def _references(elements: ElementSet) -> str:
    return "; ".join(map(str, references_of(elements)))


def _graphic(elements: ElementSet) -> str:
    """Return the kind of a region, and where it is (PS3.3 C.18.6, C.18.9)."""
    data = elements.texts(tag_of("GraphicData"))
    size = 3 if text_of(elements, "ValueType") == "SCOORD3D" else 2
    points = [data[start : start + size] for start in range(0, len(data), size)]
    shown = " ".join(f"({', '.join(map(_short, point))})" for point in points[:_POINTS])
    more = f" ... {len(points)} points" if len(points) > _POINTS else ""
    return f"{text_of(elements, 'GraphicType')} {shown}{more}".rstrip()


def _short(number: str) -> str:
    try:
        return f"{float(number):.6g}"
    except ValueError:
        return number


def _times(elements: ElementSet) -> str:
    parts = [text_of(elements, "TemporalRangeType")]
    for keyword in ("ReferencedSamplePositions", "ReferencedTimeOffsets"):
        parts += elements.texts(tag_of(keyword))
    parts += map(show_moment, elements.texts(tag_of("ReferencedDateTime")))
    return " ".join(filter(None, parts))


def _dimensions(elements: ElementSet) -> str:
    for table in items_of(elements, "TabulatedValuesSequence")[:1]:
        rows, columns = (text_of(table, f"NumberOfTable{what}") for what in ("Rows", "Columns"))
        return f"table of {rows} rows and {columns} columns"
    return ""


_VALUES: Final[dict[str, Callable[[ElementSet], str]]] = {
    "TEXT": _text,
    "NUM": _number,
    "CODE": lambda elements: str(code_of(elements, "ConceptCodeSequence")),
    "DATETIME": lambda elements: show_moment(text_of(elements, "DateTime")),
    "DATE": lambda elements: show_date(text_of(elements, "Date")),
    "TIME": lambda elements: show_time(text_of(elements, "Time")),
    "PNAME": lambda elements: show_name(text_of(elements, "PersonName")),
    "UIDREF": lambda elements: text_of(elements, "UID"),
    "IMAGE": _references,
    "COMPOSITE": _references,
    "WAVEFORM": _references,
    "SCOORD": _graphic,
    "SCOORD3D": _graphic,
    "TCOORD": _times,
    "TABLE": _dimensions,
}
