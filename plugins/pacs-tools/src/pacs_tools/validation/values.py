"""Checks of each value: VR, VM, character set, UIDs (PS3.5 §6, §9, PS3.6)."""

import re
from datetime import date
from typing import Final

from pacs_core.dataset import (
    BULK_VRS,
    DataElement,
    ElementSet,
    are_character_sets,
    encode_text,
    tag_of,
    vm_of,
    vrs_of,
)
from pacs_tools.multiplicity import allows
from pacs_tools.names import known_keyword
from pacs_tools.validation.findings import ERROR, WARNING, Findings

_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_FORMS: Final = {
    "AE": r"[\x20-\x5b\x5d-\x7e]{1,16}",
    "AS": r"\d{3}[DWMY]",
    "CS": r"[A-Z0-9 _]{1,16}",
    "DA": r"\d{8}",
    "DS": r"(?=.{1,16}\Z)[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
    "DT": rf"\d{{4}}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])(?:{_TIME})?)?)?(?:[+-]\d{{4}})?",
    "IS": r"(?=.{1,12}\Z)[+-]?\d+",
    "LO": r"(?s).{1,64}",
    "PN": r"(?s)[^=]{0,64}(?:=[^=]{0,64}){0,2}",
    "SH": r"(?s).{1,16}",
    "TM": _TIME,
    "UI": r"(?=.{1,64}\Z)[0-2](?:\.(?:0|[1-9]\d*))+",
    "UR": r"[^\s\\]+",
}
"""Forms of one value, without its padding (PS3.5 Table 6.2-1)."""

_PATTERNS: Final = {vr: re.compile(form, re.ASCII) for vr, form in _FORMS.items()}
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_WORDS: Final = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "SV": 8, "UV": 8}
_NO_TEXT: Final = re.compile("[\x80-\x9f\N{REPLACEMENT CHARACTER}]")
"""What no character set of DICOM has, and what stands for bytes that mean nothing."""

_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")
_MOST_COMPONENTS: Final = 5


def check_values(elements: ElementSet, findings: Findings, path: tuple[int, ...] = ()) -> None:
    """Note what of the values of a dataset, and of its items, is not as PS3.5 says."""
    declared = elements.texts(_CHARACTER_SET)
    if declared and not are_character_sets(declared):
        text = f"names no character set that there is: {chr(92).join(declared)[:48]!r}"
        findings.add(ERROR, "charset", (*path, _CHARACTER_SET), text, "PS3.3 C.12.1.1.2")
    for element in elements:
        here = (*path, element.tag)
        _check_vr(element, here, findings)
        if isinstance(element.value, bytes):
            if element.vr not in BULK_VRS:
                _check_value(element, elements, here, findings)
        else:
            for number, item in enumerate(element.items):
                check_values(item, findings, (*here, number))


def _check_vr(element: DataElement, path: tuple[int, ...], findings: Findings) -> None:
    tag = element.tag
    if tag >> 16 & 1:
        if 0x10 <= tag & 0xFFFF <= 0xFF and element.vr not in {"LO", "UN"}:
            text = f"has VR {element.vr}, but is a Private Creator, which is LO"
            findings.add(ERROR, "vr", path, text, "PS3.5 §7.8.1")
        return
    allowed = vrs_of(tag)
    if not known_keyword(tag):
        findings.add(WARNING, "vr", path, "is no attribute of the standard", "PS3.6 §6")
    elif element.vr not in allowed:
        text = f"has VR {element.vr}, not {' or '.join(allowed)}"
        findings.add(ERROR, "vr", path, text, "PS3.6 §6")


def _check_value(
    element: DataElement, elements: ElementSet, path: tuple[int, ...], findings: Findings
) -> None:
    raw = element.value
    if not isinstance(raw, bytes) or not raw:
        return
    size = _WORDS.get(element.vr)
    if size and len(raw) % size:
        text = f"has {len(raw)} bytes, which are no whole number of {element.vr}"
        findings.add(ERROR, "vr", path, text, "PS3.5 Table 6.2-1")
    values = elements.texts(element.tag)
    if not element.tag >> 16 & 1 and values and not allows(vm_of(element.tag), len(values)):
        text = f"has {len(values)} values, not {vm_of(element.tag)}"
        findings.add(ERROR, "vm", path, text, "PS3.6 §6")
    pattern = _PATTERNS.get(element.vr)
    wrong = [value for value in values if value and pattern and not pattern.fullmatch(value)]
    wrong = wrong or [value for value in values if not _is_possible(element.vr, value)]
    if wrong:
        rule, section = ("uid", "§9") if element.vr == "UI" else ("vr", "Table 6.2-1")
        text = f"{wrong[0][:64]!r} is no {element.vr}"
        findings.add(ERROR, rule, path, text, f"PS3.5 {section}")
    if element.vr in _TEXT:
        _check_text(raw, values, element.vr, elements.character_sets, path, findings)


def _is_possible(vr: str, value: str) -> bool:
    """Tell whether what has the form of a date is one, and of a name has few enough components."""
    if vr == "DA" and value:
        try:
            date(int(value[:4]), int(value[4:6]), int(value[6:]))
        except ValueError:
            return False
    return vr != "PN" or all(
        group.count("^") < _MOST_COMPONENTS for group in value.split("=")
    )  # PS3.5 §6.2.1.1


def _check_text(
    raw: bytes,
    values: tuple[str, ...],
    vr: str,
    sets: tuple[str, ...],
    path: tuple[int, ...],
    findings: Findings,
) -> None:
    if raw.isascii():
        if any(byte < 0x20 and byte not in b"\t\n\f\r\x1b\0" for byte in raw):
            findings.add(ERROR, "vr", path, "has control characters", "PS3.5 §6.1.3")
        return
    if not sets:
        text = "has characters beyond ASCII, but no Specific Character Set is declared"
        findings.add(ERROR, "charset", path, text, "PS3.5 §6.1.2")
        return
    text = "\\".join(values)
    # Where code extensions are used, there are several ways to write the same.
    same = len(sets) > 1 or encode_text(text, vr, sets) in raw
    if _NO_TEXT.search(text) or not same:
        findings.add(
            ERROR, "charset", path, f"has bytes that mean nothing in {chr(92).join(sets)}",
            "PS3.5 §6.1.2",
        )  # fmt: skip
