"""``pacs sr``: structured reports for reading, and their measurements as a table."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pacs_core.api.file_commands import NOTHING, UsageError, complain, say, walk
from pacs_core.dataset import MalformedDataset, NotPart10
from pacs_tools.files import DicomFile, explain, open_dicom
from pacs_tools.output import check_output, write_file
from pacs_tools.sr.content import ContentItem, read_content
from pacs_tools.sr.measurements import COLUMNS, harmless, measurements_of
from pacs_tools.sr.render import html_lines, text_lines, tree_lines
from pacs_tools.styles import style_for

Format = Literal["tree", "text", "html", "csv"]


def sr(
    paths: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    format: Format = "tree",  # noqa: A002 - as other commands have it
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
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
    problems: list[str] = []
    reports = _read(paths, problems)
    lines = _csv(reports) if format == "csv" else _documents(reports, format, output is None)
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
    return 1 if problems else NOTHING if first is None else 0


def _read(paths: Iterable[Path], problems: list[str]) -> Iterator[tuple[DicomFile, ContentItem]]:
    for path, named in walk(paths):
        try:
            with open_dicom(path) as file:
                root = read_content(file.elements)
                if file.damage and (named or root is not None):
                    problems.append(f"{path}: damaged: {file.damage}")
                if root is not None:
                    yield file, root
                elif named and not file.damage:
                    problems.append(f"{path}: it is no structured report: it has no content tree")
        except (NotPart10, MalformedDataset, OSError) as error:
            if problem := explain(path, named, error):
                problems.append(f"{path}: {problem}")


def _documents(
    reports: Iterable[tuple[DicomFile, ContentItem]], form: Format, printed: bool
) -> Iterator[str]:
    style = style_for(None if printed else False)
    for number, (file, root) in enumerate(reports):
        if form == "html":
            if number:
                raise UsageError("--format html is for a single report: name one file")
            yield from html_lines(file.elements, root)
            continue
        if number:
            yield ""
        if form == "text":
            yield from text_lines(file.elements, root)
        else:
            yield from tree_lines(root, style)


def _csv(reports: Iterable[tuple[DicomFile, ContentItem]]) -> Iterator[str]:
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="")

    def line(cells: Iterable[str]) -> str:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([harmless(cell) for cell in cells])
        return buffer.getvalue()

    for number, (file, root) in enumerate(reports):
        if not number:
            yield line(COLUMNS)
        for row in measurements_of(root):
            yield line({**row, "path": str(file.path)}[column] for column in COLUMNS)
