"""``pacs dump``: the elements of files as a tree."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from pacs_core.api.file_commands import UsageError, complain, escape, walk
from pacs_core.dataset import DataElement, ElementSet, NotPart10, keyword_of, tag_of, vm_of
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.multiplicity import allows
from pacs_tools.names import private_name, uid_name
from pacs_tools.styles import Style, style_for
from pacs_tools.values import count_values, show_value

_META: Final = {
    0x0002_0002: ("UI", "sop_class_uid"),
    0x0002_0003: ("UI", "sop_instance_uid"),
    0x0002_0010: ("UI", "transfer_syntax_uid"),
    0x0002_0012: ("UI", "implementation_class_uid"),
    0x0002_0013: ("SH", "implementation_version_name"),
    0x0002_0016: ("AE", "source_ae_title"),
    0x0002_0017: ("AE", "sending_ae_title"),
    0x0002_0018: ("AE", "receiving_ae_title"),
    0x0002_0100: ("UI", "private_creator_uid"),
}
"""VR, and attribute of `FileMeta` (PS3.10 Table 7.1-1)."""


@frozen
class _Row:
    depth: int
    tag: int
    vr: str
    name: str
    value: str
    count: str
    is_odd: bool = False


def dump(
    paths: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    search: str = "",
    tag: Annotated[list[str] | None, Parameter(negative=())] = None,
    depth: int = 100,
    full: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Print the elements of DICOM files.

    A line has tag, VR, name, value, and how many values there are if there are several. What is
    damaged is printed as far as it can be read, and the exit code is 1.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    search
        Print only lines whose tag, name or value contains this, whatever the case of its letters;
        a regular expression.
    tag
        Print only these attributes, by keyword or tag, at any depth; may be given several times.
    depth
        How deeply to go into sequences; 0 for the top level only.
    full
        Print values to their end, however long they are.
    """
    try:
        pattern = re.compile(search, re.IGNORECASE) if search else None
    except re.error as error:
        raise UsageError(f"--search: no regular expression: {error}") from error
    wanted = {tag_of(each) for each in tag or ()}
    width = 0 if full or not sys.stdout.isatty() else shutil.get_terminal_size().columns
    style = style_for()

    def is_shown(row: _Row) -> bool:
        if wanted and row.tag not in wanted:
            return False
        text = f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X}) {row.name} {row.value}"
        return pattern is None or pattern.search(text) is not None

    failures = 0
    files = list(walk(paths))
    for path, named in files:
        try:
            with open_dicom(path) as file:
                # Of what is found in a folder, what is no DICOM file may begin like a dataset.
                if file.damage and not (named or file.has_meta):
                    continue
                rows = [row for row in _rows(file, depth) if is_shown(row)]
                problem = f"damaged: {file.damage}" if file.damage else ""
        except (NotPart10, OSError) as error:
            rows, problem = [], explain(path, named, error)
        if len(files) > 1 and rows:
            print(style("head", f"# {escape(str(path))}"))
        for row in rows:
            print(_line(row, width, style))
        if problem:
            failures += 1
            complain(f"{path}: {problem}")
    return 1 if failures else 0


def _rows(file: DicomFile, depth: int) -> Iterator[_Row]:
    if file.has_meta:
        for tag, (vr, attribute) in _META.items():
            if value := getattr(file.meta, attribute):
                name = uid_name(value) if vr == "UI" else ""
                yield _Row(0, tag, vr, keyword_of(tag), f"{value} = {name}" if name else value, "1")
    yield from _rows_of(file.elements, 0, depth)


def _rows_of(elements: ElementSet, level: int, depth: int) -> Iterator[_Row]:
    # Nesting is limited by the reader, far below the depth of Python's calls.
    for element in elements:
        yield _row(elements, element, level)
        if level >= depth:
            continue
        for number, item in enumerate(element.items, 1):
            yield _Row(level + 1, element.tag, "", "", f"item {number}", "")
            yield from _rows_of(item, level + 1, depth)


def _row(elements: ElementSet, element: DataElement, level: int) -> _Row:
    name = private_name(elements, element.tag)
    if not name:
        name = keyword_of(element.tag)
        name = "" if name == f"{element.tag:08X}" else name
        if element.tag >> 16 & 1 and 0x10 <= element.tag & 0xFFFF <= 0xFF:
            name = "PrivateCreator"
    count = count_values(element, elements)
    odd = count > 0 and element.vr != "SQ" and not allows(vm_of(element.tag), count)
    return _Row(
        level, element.tag, element.vr, name, show_value(element, elements), str(count), odd
    )


def _line(row: _Row, width: int, style: Style) -> str:
    indent = "  " * row.depth
    if not row.vr:
        return style("dim", f"{indent}> {row.value}")
    tag = f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})"
    room = max(1, 36 - len(indent))
    many = f"  # {row.count} values" if row.count not in {"0", "1"} else ""
    many += "  # wrong number of values" if row.is_odd else ""
    value = row.value
    left = width - len(indent) - len(tag) - 5 - max(room, len(row.name)) - 1 - len(many)
    if width and len(value) > left:
        value = value[: max(left - 3, 8)] + "..."
    name = style("name", f"{row.name:<{room}}")
    return f"{indent}{style('dim', tag)} {row.vr} {name} {value}{style('dim', many)}".rstrip()
