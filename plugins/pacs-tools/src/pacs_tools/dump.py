"""``pacs dump``: the elements of files as a tree."""

import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pacs_core.api.file_commands import (
    JobsOption,
    JsonOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    dump_json,
    escape,
    map_files,
    walk,
)
from pacs_core.dataset import (
    ElementPath,
    ElementSet,
    NotPart10,
    UnknownAttribute,
    keyword_of,
    tag_of,
    uid_name,
    vm_of,
)
from pacs_tools.dump_records import element_records, meta_values
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.multiplicity import allows
from pacs_tools.names import element_name, known_vr
from pacs_tools.styles import Style, style_for
from pacs_tools.values import ElementValue, show_values

_OFFSET: Final = 11
"""Columns of an offset, and what parts it from the line."""

_SHORT: Final = 128
"""Bytes of a value up to which its line is remembered: long ones are seldom repeated."""


def dump(
    paths: Annotated[list[Path], Option()],
    /,
    *,
    search: str = "",
    tag: Annotated[list[str] | None, Option()] = None,
    depth: int = 100,
    full: Annotated[bool, Option()] = False,
    offsets: Annotated[bool, Option()] = False,
    json: JsonOption = False,
    jobs: JobsOption = 0,
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
    offsets
        Begin lines with the byte of the file at which the element begins; of a deflated dataset,
        the byte of the inflated one.
    json
        Print each element as a line of JSON, with its file, and its place as `pacs modify` takes
        it. Values are as they are shown; for those of the DICOM JSON Model, see `pacs json`.
    """
    try:
        pattern = re.compile(search, re.IGNORECASE) if search else None
    except re.error as error:
        raise UsageError(f"--search: no regular expression: {error}") from error
    try:
        wanted = frozenset(map(tag_of, tag or ()))
    except UnknownAttribute as error:
        raise UsageError(f"--tag: {error}") from error
    width = 0
    if not full and sys.stdout.isatty():
        from shutil import get_terminal_size  # with all that compresses, for a terminal only

        width = max(get_terminal_size().columns - _OFFSET * offsets, 0)
    kind = _JsonLines if json else _Lines
    lines = kind(wanted, pattern, width, style_for(), depth, offsets)
    files = list(walk(paths))

    def show(file: tuple[Path, bool]) -> bool | None:
        if (made := lines.of_file(*file)) is None:
            return None
        found, problem = made
        if found:
            head = [lines.head(file[0])] if len(files) > 1 and not json else []
            print(*head, *found, sep="\n")
        if problem:
            complain(f"{file[0]}: {problem}")
        return not problem

    shown = [*map_files(show, files, jobs, label="dumping", prints=True)]
    if False in shown:
        return 1
    if True not in shown:
        return complain_of_nothing()
    return 0


class _Lines:
    """The elements of files as lines.

    Those of a folder say much the same: lines of short values are remembered, by all that is in
    them.
    """

    def __init__(
        self,
        wanted: frozenset[int],
        pattern: re.Pattern[str] | None,
        width: int,
        style: Style,
        depth: int,
        offsets: bool,
    ) -> None:
        self._wanted, self._pattern = wanted, pattern
        self._width, self._style, self._depth = width, style, depth
        self._offsets = offsets
        self._remembered = lru_cache(maxsize=1 << 15)(self._line)

    def head(self, path: Path) -> str:
        """Return what precedes the lines of a file."""
        return self._style("head", f"# {escape(str(path))}")

    def of_file(self, path: Path, named: bool) -> tuple[list[str], str] | None:
        """Return the lines of a file, and what is wrong with it; None for what is no DICOM file."""
        lines: list[str] = []
        try:
            with open_dicom(path, with_offsets=self._offsets) as file:
                # Of what is found in a folder, what is no DICOM file may begin like a dataset.
                if file.damage and not (named or file.has_meta):
                    return None
                self._add_all(lines, path, file)
                return lines, f"damaged: {file.damage}" if file.damage else ""
        except (NotPart10, OSError) as error:
            problem = explain(path, named, error)
            return ([], problem) if problem else None

    def _add_all(self, lines: list[str], _: Path, file: DicomFile) -> None:
        self._add_meta(lines, file)
        self._add(lines, file.elements, 0, file, ())

    def _add_meta(self, lines: list[str], file: DicomFile) -> None:
        for tag, vr, value in meta_values(file):
            name = uid_name(value) if vr == "UI" else ""
            shown = escape(f"{value} = {name}" if name else value)
            if line := self._format(0, tag, vr, keyword_of(tag), shown):
                lines.append(" " * _OFFSET * self._offsets + line)

    def _add(
        self,
        lines: list[str],
        elements: ElementSet,
        level: int,
        file: DicomFile,
        path: ElementPath,
    ) -> None:
        # Nesting is limited by the reader, far below the depth of Python's calls.
        sets, creators = elements.character_sets, dict[int, str]()
        remembered, line_of, wanted = self._remembered, self._line, self._wanted
        # What a bare line is preceded by is not remembered with it.
        place = self._place if self._offsets else None
        for element in elements:
            tag, value, creator = element.tag, element.value, ""
            if tag & 0x1_0000:
                block = tag >> 8
                if block not in creators:
                    creators[block] = elements.private_creator(tag)
                creator = creators[block]
            if isinstance(value, bytes):
                if wanted and tag not in wanted:
                    continue
                short = len(value) <= _SHORT
                line = (remembered if short else line_of)(
                    level, tag, element.vr, value, sets, creator
                )
                if line:
                    lines.append(line if place is None else place(file, (*path, tag)) + line)
                continue
            start = file.dataset_offset
            if line := line_of(level, tag, element.vr, value, sets, creator, start):
                lines.append(line if place is None else place(file, (*path, tag)) + line)
            for number, item in enumerate(element.items if level < self._depth else ()):
                if self._shows(tag, "", f"item {number + 1}"):
                    shown = self._style("dim", f"{'  ' * (level + 1)}> item {number + 1}")
                    lines.append(shown if place is None else " " * _OFFSET + shown)
                self._add(lines, item, level + 1, file, (*path, tag, number))

    def _place(self, file: DicomFile, path: ElementPath) -> str:
        offset = file.offsets.get(path)
        return f"{'' if offset is None else offset:>{_OFFSET - 1}} "

    def _line(
        self,
        level: int,
        tag: int,
        vr: str,
        value: ElementValue,
        sets: tuple[str, ...],
        creator: str,
        start: int = 0,
    ) -> str:
        name = escape(element_name(creator, tag))
        vr = known_vr(vr, creator, tag, value)
        shown, count = show_values(vr, value, sets, start)
        odd = count > 0 and vr != "SQ" and not allows(vm_of(tag), count)
        return self._format(level, tag, vr, name, shown, count, odd)

    def _shows(self, tag: int, name: str, value: str) -> bool:
        if self._wanted and tag not in self._wanted:
            return False
        text = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {name} {value}"
        return self._pattern is None or self._pattern.search(text) is not None

    def _format(
        self,
        level: int,
        tag: int,
        vr: str,
        name: str,
        value: str,
        count: int = 1,
        is_odd: bool = False,
    ) -> str:
        """Return a line; nothing if it is not to be shown."""
        if not self._shows(tag, name, value):
            return ""
        indent = "  " * level
        number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        room = max(1, 36 - len(indent))
        many = f"  # {count} values" if count > 1 else ""
        many += "  # wrong number of values" if is_odd else ""
        left = self._width - len(indent) - len(number) - 5 - max(room, len(name)) - 1 - len(many)
        if self._width and len(value) > left:
            value = value[: max(left - 3, 8)] + "..."
        name = self._style("name", f"{name:<{room}}")
        style = self._style
        return f"{indent}{style('dim', number)} {vr} {name} {value}{style('dim', many)}".rstrip()


class _JsonLines(_Lines):
    """The elements of files as lines of JSON."""

    def _add_all(self, lines: list[str], path: Path, file: DicomFile) -> None:
        lines += [
            dump_json({"file": str(path), **record})
            for record in element_records(file, self._depth)
            if self._shows(int(record["tag"], 16), record["name"], record["value"])
        ]
