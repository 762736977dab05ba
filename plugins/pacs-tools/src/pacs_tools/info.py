"""``pacs info``: what files hold, a line for each, and the sums of studies."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

from attrs import define, field, frozen

from pacs_core.api.file_commands import (
    JobsOption,
    JsonOption,
    complain,
    complain_of_nothing,
    dump_json,
    map_files,
    print_row,
    print_table,
    say,
    walk,
)
from pacs_core.dataset import (
    Attributes,
    MalformedDataset,
    NotPart10,
    encoding_of,
    scan_file,
    short_name_of,
    tag_of,
    texts,
    uid_name,
)
from pacs_tools.files import explain

_KEYWORDS: Final = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID",
    "PatientName", "StudyDate", "StudyDescription", "SeriesDescription", "Modality", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation",
    "BurnedInAnnotation", "PatientIdentityRemoved",
)  # fmt: skip
_TAGS: Final = {keyword: tag_of(keyword) for keyword in _KEYWORDS}
_COLUMNS: Final = {"MODALITY": 10, "IMAGE": 22, "SYNTAX": 32, "BYTES": 13, "FILE": 1}


@frozen
class FileInfo:
    """What is told of a file.

    Attributes
    ----------
    path : Path
    size : int
        Bytes.
    syntax : str
        UID of the transfer syntax.
    values : mapping of str to str
        Attributes by keyword; those that are there.
    oddities : tuple of str
        What is unusual.
    """

    path: Path
    size: int
    syntax: str
    values: dict[str, str]
    oddities: tuple[str, ...]

    @property
    def image(self) -> str:
        """Columns, rows, frames and bits, as ``512x512x20, 16 bit``; empty if it is no image."""
        if "Rows" not in self.values or "Columns" not in self.values:
            return ""
        frames = self.values.get("NumberOfFrames", "1")
        size = f"{self.values['Columns']}x{self.values['Rows']}"
        size += f"x{frames}" if frames != "1" else ""
        samples = "x3" if self.values.get("SamplesPerPixel") == "3" else ""
        return f"{size}, {self.values.get('BitsAllocated', '?')}{samples} bit"


def info(
    paths: list[Path],
    /,
    *,
    by: Literal["file", "series", "study"] = "file",
    json: JsonOption = False,
    jobs: JobsOption = 0,
) -> int:
    """Print what DICOM files hold, and what is unusual about them.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    by
        A line for each file, or the sums of each series or study.
    json
        Print one JSON object for each line.
    """
    problems: list[str] = []
    found = _examine_all(paths, problems, jobs, by == "file")
    number = (_print_files if by == "file" else _PRINT_SUMS[by])(found, json)
    for problem in problems:
        complain(problem)
    if problems:
        return 1
    return 0 if number else complain_of_nothing()


def _examine_all(
    paths: Iterable[Path], problems: list[str], jobs: int, prints: bool
) -> Iterator[FileInfo]:
    for found in map_files(_examine, walk(paths), jobs, label="reading", prints=prints):
        if isinstance(found, FileInfo):
            yield found
        elif found:
            problems.append(found)


def _examine(found: tuple[Path, bool]) -> FileInfo | str:
    """Return what is told of a file, or why nothing can be."""
    path, named = found
    try:
        return examine(path)
    except (NotPart10, MalformedDataset, OSError) as error:
        reason = explain(path, named, error)
        return f"{path}: {reason}" if reason else ""


def examine(path: Path) -> FileInfo:
    """Read what is told of a file; its Pixel Data are not read.

    Raises
    ------
    NotPart10
        It is no DICOM file.
    MalformedDataset
        It is a damaged one.
    OSError
        It cannot be read.
    """
    scanned = scan_file(path, set(_TAGS.values()))
    values = {
        keyword: "\\".join(found)
        for keyword, tag in _TAGS.items()
        if (found := texts(scanned.attributes, tag))
    }
    oddities = tuple(_oddities(scanned.meta.sop_instance_uid, values, scanned.attributes))
    if not scanned.meta.dataset_offset:
        oddities = ("no File Meta Information", *oddities)
    size = scanned.size or 0
    return FileInfo(path, size, scanned.meta.transfer_syntax_uid, values, oddities)


def _oddities(meta_uid: str, values: dict[str, str], attributes: Attributes) -> Iterator[str]:
    if meta_uid and values.get("SOPInstanceUID") not in {None, meta_uid}:
        yield "Media Storage SOP Instance UID is another than SOP Instance UID"
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if keyword not in values:
            yield f"no {keyword}"
    if values.get("BurnedInAnnotation") == "YES":
        yield "burned-in annotation"
    if len(texts(attributes, _TAGS["PatientID"])) > 1:
        yield "several values of PatientID"


def _print_files(found: Iterable[FileInfo], as_json: bool) -> int:
    number = 0
    for number, each in enumerate(found, 1):
        if as_json:
            print(dump_json(_record(each)))
            continue
        if number == 1:
            print_row(_COLUMNS, _COLUMNS.values())
        modality = each.values.get("Modality", "-")
        syntax = short_name_of(each.syntax) or each.syntax
        cells = (modality, each.image or _class_of(each), syntax, f"{each.size:,}", str(each.path))
        print_row(cells, _COLUMNS.values())
        for oddity in each.oddities:
            say(f"  {oddity}")
    return number


def _class_of(each: FileInfo) -> str:
    name = uid_name(each.values.get("SOPClassUID", "")).removesuffix(" Storage")
    return name[:20] or "-"


def _record(each: FileInfo) -> dict[str, object]:
    return {
        "path": str(each.path),
        "bytes": each.size,
        "transfer_syntax_uid": each.syntax,
        "compressed": encoding_of(each.syntax).encapsulated,
        "attributes": each.values,
        "oddities": list(each.oddities),
    }


@define
class _Sum:
    """What the files of a series or study have together."""

    first: FileInfo
    series: set[str] = field(factory=set)
    modalities: set[str] = field(factory=set)
    syntaxes: Counter[str] = field(factory=Counter)
    files: int = 0
    frames: int = 0
    size: int = 0
    uids: set[str] = field(factory=set)
    twice: int = 0

    def add(self, each: FileInfo) -> None:
        self.series.add(each.values.get("SeriesInstanceUID", ""))
        self.modalities.add(each.values.get("Modality", "-"))
        self.syntaxes[each.syntax] += 1
        self.files += 1
        self.size += each.size
        frames = each.values.get("NumberOfFrames", "1")
        self.frames += int(frames) if frames.isdecimal() else 1
        uid = each.values.get("SOPInstanceUID", "")
        self.twice += uid in self.uids
        self.uids.add(uid)


def _print_series(found: Iterable[FileInfo], as_json: bool) -> int:
    return _print_sums(found, as_json, "SeriesInstanceUID", "SeriesDescription")


def _print_studies(found: Iterable[FileInfo], as_json: bool) -> int:
    return _print_sums(found, as_json, "StudyInstanceUID", "StudyDescription")


def _print_sums(found: Iterable[FileInfo], as_json: bool, key: str, description: str) -> int:
    sums: dict[str, _Sum] = {}
    for each in found:
        sums.setdefault(each.values.get(key, ""), _Sum(each)).add(each)
    rows = [_sum_record(uid, total, description) for uid, total in sums.items()]
    if as_json:
        for row in rows:
            print(dump_json(row))
    elif rows:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        print_table([name.upper() for name in rows[0]], cells)
    for uid, total in sums.items():
        if total.twice:
            complain(f"{uid or '-'}: {total.twice} files hold an instance that another one holds")
    return len(rows)


def _sum_record(uid: str, each: _Sum, description: str) -> dict[str, object]:
    values = each.first.values
    return {
        "patient": values.get("PatientID", ""),
        "date": values.get("StudyDate", ""),
        "modalities": sorted(each.modalities),
        "series": len(each.series),
        "instances": len(each.uids),
        "frames": each.frames,
        "bytes": each.size,
        "syntaxes": [short_name_of(uid) or uid for uid, _ in each.syntaxes.most_common()],
        "description": values.get(description, ""),
        "uid": uid,
    }


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


_PRINT_SUMS: Final = {"series": _print_series, "study": _print_studies}
