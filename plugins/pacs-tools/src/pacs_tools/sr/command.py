"""``pacs sr``: structured reports for reading, and their measurements as a table."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from attrs import frozen

from pacs_core.api.file_commands import (
    JobsOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    escape,
    map_files,
    say,
    walk,
)
from pacs_core.api.sr import page_lines, read_document, text_lines
from pacs_core.dataset import MalformedDataset, NotPart10
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.output import check_output, write_file
from pacs_tools.sr.measurements import COLUMNS, harmless, measurements_of
from pacs_tools.sr.tree import tree_lines
from pacs_tools.styles import Style, style_for

Format = Literal["tree", "text", "html", "csv"]


@frozen
class _Read:
    """What has become of a file: its lines, and whether there is a report in it."""

    lines: tuple[str, ...] = ()
    is_report: bool = False
    problem: str = ""


def sr(
    paths: Annotated[list[Path], Option()],
    /,
    *,
    format: Format = "tree",  # noqa: A002 - as other commands have it
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    overwrite: Annotated[bool, Option()] = False,
    jobs: JobsOption = 0,
) -> int:
    """Print structured reports for reading, or their measurements as a table.

    In folders, files that are no reports are passed over. The exit code is 1 if a file cannot be
    read, or is named and is no report; 3 if there is none.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    format
        "tree": each content item with its relationship and value type; "text": a document;
        "html": a page of its own, of a single report; "csv": a row for each measurement.
    output
        File to write, instead of printing.
    overwrite
        Replace the output if there is one.
    """
    if output is not None:
        check_output(output, overwrite)
    style = style_for(None if output is None else False)

    def read(found: tuple[Path, bool]) -> _Read:
        path, named = found
        try:
            with open_dicom(path) as file:
                return _read(file, named, format, style)
        except (NotPart10, MalformedDataset, OSError) as error:
            problem = explain(path, named, error)
            return _Read(problem=f"{path}: {problem}" if problem else "")

    problems: list[str] = []
    results = map_files(read, walk(paths), jobs, label="reading", prints=output is None)
    lines = _join(results, format, problems)
    first = next(lines, None)
    if first is not None:
        found = chain((first,), lines)
        if output is None:
            for line in found:
                print(line)
        else:
            write_file(output, (f"{line}\n".encode() for line in found))
            say(f"{output} written")
    for problem in problems:
        complain(problem)
    if problems or first is not None:
        return 1 if problems else 0
    return complain_of_nothing("no report was found")


def _read(file: DicomFile, named: bool, form: Format, style: Style) -> _Read:
    """Return the lines of a report, which is passed over in a folder if it is none."""
    document = read_document(file.elements)
    problem = ""
    if file.damage and (named or document is not None):
        problem = f"{file.path}: damaged: {file.damage}"
    if document is None:
        if named and not problem:
            problem = f"{file.path}: it is no structured report: it has no content tree"
        return _Read(problem=problem)
    if form == "csv":
        rows = ({**row, "path": str(file.path)} for row in measurements_of(document.root))
        lines = [_line(row[column] for column in COLUMNS) for row in rows]
    elif form == "html":
        lines = [*page_lines(document)]
    elif form == "text":
        lines = [escape(line) for line in text_lines(document)]
    else:
        lines = [*tree_lines(document.root, style)]
    return _Read(tuple(lines), True, problem)


def _join(results: Iterable[_Read], form: Format, problems: list[str]) -> Iterator[str]:
    """Iterate over the lines of all reports, and what is between them."""
    number = 0
    for result in results:
        problems += [result.problem] if result.problem else []
        if not result.is_report:
            continue
        if form == "csv" and not number:
            yield _line(COLUMNS)
        elif form == "html" and number:
            raise UsageError("--format html is for a single report: name one file")
        elif form != "csv" and number:
            yield ""
        number += 1
        yield from result.lines


def _line(cells: Iterable[str]) -> str:
    buffer = StringIO()
    csv.writer(buffer, lineterminator="").writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()
