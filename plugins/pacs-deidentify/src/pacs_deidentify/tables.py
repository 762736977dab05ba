"""Tables of the standard: Table E.1-1, Types of attributes, safe private attributes and others.

They are files in ``data``, each of which names its edition, and are read when first needed.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from attrs import frozen
from pydicom.datadict import dictionary_keyword

from pacs_deidentify.attributes import TEMPORAL_VRS, is_of_instance
from pacs_deidentify.options import Option

COLUMNS: Final = {
    "uids": Option.RETAIN_UIDS,
    "device": Option.RETAIN_DEVICE_IDENTITY,
    "institution": Option.RETAIN_INSTITUTION_IDENTITY,
    "patient": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "full-dates": Option.RETAIN_FULL_DATES,
    "modified-dates": Option.RETAIN_MODIFIED_DATES,
    "descriptors": Option.CLEAN_DESCRIPTORS,
    "structured": Option.CLEAN_STRUCTURED_CONTENT,
    "graphics": Option.CLEAN_GRAPHICS,
}
"""The option of each column."""

_DATES: Final = {Option.RETAIN_FULL_DATES: "K", Option.RETAIN_MODIFIED_DATES: "C"}
_REMARK: Final = re.compile(r"Comments?$|^CommentsOn|Notes$|^DocumentTitle$|^ReasonForCanc")
"""Keywords of what somebody says in words of his own, as of those that the table cleans."""

_ENCRYPTED_ATTRIBUTES: Final = 0x0400_0500
_ISSUERS: Final = frozenset({0x0040_0031, 0x0040_0032})
"""Local Namespace Entity ID and Universal Entity ID: who gives out IDs (PS3.3 Table 10-17)."""

_UID_ROOT: Final = "1.2.840.10008."


@frozen
class TableRow:
    """A row of Table E.1-1.

    Attributes
    ----------
    basic : str
        Action of the Basic Profile: a code, or several that the Type of the attribute chooses from.
    options : dict of Option to str
        ``K`` or ``C`` for each option that has an action of its own.
    """

    basic: str
    options: dict[Option, str]


@frozen
class TypeRow:
    """Types of an attribute in the IODs (PS3.3): `usual`, and others by SOP Class UID."""

    usual: int
    others: dict[str, int]


@frozen
class ProfileTable:
    """Table E.1-1.

    Attributes
    ----------
    edition : str
        Of the standard, such as 2026c.
    rows : dict of int to TableRow
        By tag.
    repeating : tuple of (int, int, TableRow)
        Rows for repeating groups: what the tag is after a mask, the mask, and the row.
    """

    edition: str
    rows: dict[int, TableRow]
    repeating: tuple[tuple[int, int, TableRow], ...]

    def find(self, tag: int) -> TableRow | None:
        """Return the row of an attribute, None if the standard leaves it alone."""
        if (row := self.rows.get(tag)) or not 0x5000_0000 <= tag < 0x6100_0000:
            return row
        return next((row for value, mask, row in self.repeating if tag & mask == value), None)


@cache
def load_profile() -> ProfileTable:
    """Return Table E.1-1."""
    rows, repeating = {}, []
    first, *_ = _lines("table_e1_1.tsv", comments=True)
    for tag, _keyword, basic, *cells in _records("table_e1_1.tsv"):
        pairs = zip(COLUMNS.values(), cells, strict=False)
        row = TableRow(basic, {option: cell for option, cell in pairs if cell in {"K", "C"}})
        if "x" in tag:
            mask = int("".join("0" if digit == "x" else "F" for digit in tag), 16)
            # Groups that repeat are even: odd ones are private (PS3.5 §7.6).
            repeating.append((int(tag.replace("x", "0"), 16), mask, row))
        else:
            rows[int(tag, 16)] = row
    edition = first.partition("edition ")[2].partition(";")[0]
    return ProfileTable(edition, rows, tuple(repeating))


@cache
def load_types() -> dict[tuple[int, int], TypeRow]:
    """Return Types by tag, and the tag of the sequence that it is in; that is 0 outside of any."""
    found = {}
    for tag, parent, usual, *rest in _records("attribute_types.tsv"):
        others = {}
        for part in rest[0].split() if rest else ():
            kind, _, uids = part.partition("=")
            others.update(dict.fromkeys((_UID_ROOT + uid for uid in uids.split(",")), int(kind)))
        found[int(tag, 16), int(parent or "0", 16)] = TypeRow(int(usual), others)
    return found


@cache
def load_safe_private() -> frozenset[tuple[str, int, int]]:
    """Return safe private attributes: creator, group, and element within the block (E.3.10)."""
    return frozenset(
        (creator, int(group, 16), int(element, 16))
        for creator, group, element, *_ in _records("safe_private.tsv")
    )


@cache
def load_identifying() -> dict[str, str]:
    """Return of what text attributes tell by which a person can be found, by their keywords."""
    return {keyword: group for keyword, group, _module in _records("identifying.tsv")}


@cache
def load_code_words() -> frozenset[str]:
    """Return words that codes of the standard are of, in small letters."""
    return frozenset(word for line in _lines("code_words.txt") for word in line.split())


def row_of_vr(tag: int, vr: str) -> TableRow | None:
    """Return how an attribute is treated that is not in the table, but is of such a VR."""
    if vr in TEMPORAL_VRS:
        return TableRow("X", _DATES)
    if vr == "PN":
        return TableRow("X/Z/D", {})
    if vr == "UI":
        return TableRow("U", {}) if is_of_instance(tag) else None
    if tag == _ENCRYPTED_ATTRIBUTES:  # by which somebody could be identified again
        return TableRow("X", {})
    if tag in _ISSUERS:
        return TableRow("X/Z/D", {Option.RETAIN_INSTITUTION_IDENTITY: "K"})
    if vr in {"LO", "LT", "ST", "UT"} and _REMARK.search(dictionary_keyword(tag)):
        return TableRow("X/Z/D", {Option.CLEAN_DESCRIPTORS: "C"})
    # Where something is to be had names who has it; where a scheme is described does not.
    is_place = vr == "UR" and not dictionary_keyword(tag).endswith(("SchemeURL", "CodeValue"))
    return TableRow("X/Z/D", {}) if is_place else None


def _records(name: str) -> Iterator[list[str]]:
    lines = _lines(name)
    next(lines)
    for line in lines:
        yield line.split("\t")


def _lines(name: str, *, comments: bool = False) -> Iterator[str]:
    text = (files("pacs_deidentify") / "data" / name).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if comments or not line.startswith("#"))
