"""``pacs modify``: files with other values."""

import csv
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import uuid4

from attrs import evolve, frozen

from pacs_core.api.file_commands import (
    CommandError,
    JobsOption,
    JsonOption,
    Option,
    UsageError,
    complain,
    dump_json,
    escape,
    map_files,
    say,
    walk,
)
from pacs_core.dataset import (
    ElementSet,
    MalformedDataset,
    NotPart10,
    keyword_of,
    scan_file,
    tag_of,
    texts,
)
from pacs_tools.changing import change_files, exit_code, write_whole
from pacs_tools.diff import Comparison, Difference, show_difference
from pacs_tools.editing import Changes, change_file
from pacs_tools.files import DicomFile
from pacs_tools.paths import parse_path
from pacs_tools.setting import read_appended, read_values
from pacs_tools.signed import find_broken_signatures
from pacs_tools.styles import style_for

Level = Literal["instance", "series", "study"]
_UIDS: Final[dict[Level, tuple[str, ...]]] = {
    "instance": ("SOPInstanceUID",),
    "series": ("SOPInstanceUID", "SeriesInstanceUID"),
    "study": ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
}
"""The attributes whose values become new ones (PS3.3 C.7)."""

_APPENDS: Final = "+"
"""Begins the name of a column whose values are appended."""

Texts = Annotated[list[str] | None, Option()]
Flag = Annotated[bool, Option()]


def modify(
    paths: list[Path],
    /,
    *,
    set_: Annotated[Texts, Option("--set", "-s")] = None,
    append: Annotated[Texts, Option("--append")] = None,
    delete: Annotated[Texts, Option("--delete", "-d")] = None,
    delete_private: Flag = False,
    new_uids: Level | None = None,
    csv_: Annotated[Path | None, Option("--csv")] = None,
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    in_place: Flag = False,
    overwrite: Flag = False,
    dry_run: Flag = False,
    json: JsonOption = False,
    jobs: JobsOption = 0,
) -> int:
    """Change attributes of DICOM files; all other bytes stay as they are.

    Changed files are written below --output, as they lie below the folders that are named, or in
    the place of the old ones with --in-place. Each appears when it is whole.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    set_
        KEYWORD=VALUE; SEQUENCE[1].KEYWORD=VALUE in an item, [-1] in the last, [*] in each;
        backslashes separate values. 0011,[CREATOR],01:LO=VALUE is a private attribute, whose
        creator gets a block if there is none. May be given several times.
    append
        KEYWORD=VALUE, after the values that are there; or SEQUENCE, to which an empty item is
        appended, that --set SEQUENCE[-1].KEYWORD=VALUE fills. Done before all else; may be given
        several times.
    delete
        KEYWORD, or SEQUENCE[1].KEYWORD; may be given several times.
    delete_private
        Delete all private attributes, in sequences too.
    new_uids
        Give instances new UIDs, also where other files of this run refer to them: "series" gives
        series new ones, too, and "study" studies and frames of reference.
    csv_
        Table whose first row has keywords. Where a file has the value of the first column, it gets
        those of the others; those of a column +KEYWORD are appended.
    output
        Folder to write to.
    in_place
        Change the files themselves.
    overwrite
        Replace files of --output that exist.
    dry_run
        Write nothing, and print what would differ.
    json
        Print an object for each file, in a line of its own: what differs, and where it is written.
    """
    if (output is not None) + in_place + dry_run != 1:
        raise UsageError("say one of --output, --in-place and --dry-run")
    deleted = tuple(map(parse_path, delete or ()))
    table = _read_table(csv_) if csv_ else None
    changes = Changes(read_values(set_ or ()), read_appended(append or ()), deleted, delete_private)
    if changes == Changes() and not new_uids and not table:
        raise UsageError(
            "nothing is to be changed: say --set, --append, --delete, --new-uids or --csv"
        )
    if new_uids:
        changes = evolve(changes, uids=_new_uids(paths, new_uids, jobs))

    def modify_file(file: DicomFile, target: Path) -> bool:
        wanted = changes if table is None else table.add_to(changes, file)
        elements = _apply(wanted, file)
        if not dry_run:
            pieces = partial(change_file, file, elements)
            write_whole(file, target, pieces, replaces=in_place or overwrite)
        if json:
            _print_json(file, elements, None if dry_run else target)
        elif dry_run:
            _show(file, elements)
        return True

    done, failed = change_files(paths, output, modify_file, jobs=jobs, prints=dry_run or json)
    if not (dry_run or json):
        say(f"{done} file{'' if done == 1 else 's'} written")
    return exit_code(done, failed)


def _apply(changes: Changes, file: DicomFile) -> ElementSet:
    elements = changes.apply(file.elements)
    for uid, tag in find_broken_signatures(file.elements, elements):
        complain(
            f"{file.path}: digital signature {escape(uid)} is not valid any more, as it signs "
            f"{keyword_of(tag)}: --delete DigitalSignaturesSequence removes signatures"
        )
    return elements


def _find_differences(file: DicomFile, elements: ElementSet) -> Iterator[Difference]:
    changed = evolve(file, elements=elements)
    return Comparison(file, changed, frozenset(), exact=True).differences()


def _print_json(file: DicomFile, elements: ElementSet, target: Path | None) -> None:
    differences = [each.plain() for each in _find_differences(file, elements)]
    written = None if target is None else str(target)
    print(dump_json({"file": str(file.path), "written": written, "differences": differences}))


def _show(file: DicomFile, elements: ElementSet) -> None:
    """Print how a file would differ."""
    differences = _find_differences(file, elements)
    lines = [line for each in differences for line in show_difference(each, style_for())]
    if lines:
        print(f"# {escape(str(file.path))}", *lines, sep="\n")


@frozen
class Table:
    """Values by the value of one attribute.

    Attributes
    ----------
    key : str
        Keyword of the attribute that tells files apart.
    keywords : tuple of str
        Those of the other columns.
    rows : dict of str to tuple of str
    """

    key: str
    keywords: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]

    def add_to(self, changes: Changes, file: DicomFile) -> Changes:
        """Return changes with those of the row of a file.

        Raises
        ------
        CommandError
            There is none.
        """
        value = "\\".join(file.elements.texts(tag_of(self.key)))
        if (row := self.rows.get(value)) is None:
            raise CommandError(f"no row of the table has its {self.key}, {value!r}")
        pairs = [f"{keyword}={text}" for keyword, text in zip(self.keywords, row, strict=True)]
        values = read_values(pair for pair in pairs if pair[0] != _APPENDS)
        appended = read_appended(pair[1:] for pair in pairs if pair[0] == _APPENDS)
        return evolve(
            changes,
            values=(*changes.values, *values),
            appended=(*changes.appended, *appended),
        )


def _read_table(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not in UTF-8 at byte {error.start}") from error
    except csv.Error as error:
        raise UsageError(f"{path}: it is no table: {error}") from error
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise UsageError(
            f"{path}: it needs a row of keywords, and as many values in each other row"
        )
    for keyword in rows[0]:
        parse_path(keyword.removeprefix(_APPENDS))
    found = {row[0]: tuple(row[1:]) for row in rows[1:]}
    if len(found) < len(rows) - 1:
        raise UsageError(f"{path}: a value of {rows[0][0]} is in several rows")
    return Table(rows[0][0], tuple(rows[0][1:]), found)


def _new_uids(paths: list[Path], level: Level, jobs: int) -> Callable[[str], str]:
    """Return what gives new UIDs for those of files (PS3.5 B.2), the same for the same."""
    tags = [tag_of(keyword) for keyword in _UIDS[level]]

    def read(found: tuple[Path, bool]) -> set[str]:
        # Why a file cannot be read is said when it is to be changed.
        with suppress(NotPart10, MalformedDataset, OSError):
            attributes = scan_file(found[0], tags).attributes
            return {uid for tag in tags for uid in texts(attributes, tag)}
        return set()

    new: dict[str, str] = {}
    for old in map_files(read, walk(paths), jobs, label="reading"):
        for uid in sorted(old):
            new.setdefault(uid, f"2.25.{uuid4().int}")
    return lambda uid: new.get(uid, uid)
