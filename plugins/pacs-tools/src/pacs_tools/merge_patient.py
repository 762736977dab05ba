"""``pacs merge-patient``: files of two patients that are one (PS3.3 C.7.1.1, C.12.1.1.9)."""

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from pacs_core.api.file_commands import (
    CommandError,
    JobsOption,
    Option,
    UsageError,
    map_files,
    say,
    walk,
)
from pacs_core.dataset import (
    DatasetEditor,
    MalformedDataset,
    Modification,
    NotPart10,
    UnencodableValue,
    scan_file,
    tag_of,
    texts,
)
from pacs_tools.changing import change_files, exit_code, write_whole
from pacs_tools.files import DicomFile

_PATIENT_ID: Final = tag_of("PatientID")
_FILLED: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
"""Type 2: there, though they may be empty (PS3.3 Table C.7-1)."""

_OPTIONAL: Final = ("IssuerOfPatientID", "TypeOfPatientID", "PatientBirthTime")
_BLOCK: Final = 1 << 20
_SYSTEM: Final = "pacs merge-patient"

Flag = Annotated[bool, Option()]
Values = dict[int, tuple[str, ...] | None]


def merge_patient(
    paths: list[Path],
    /,
    *,
    from_: Annotated[str, Option("--from")],
    into: str,
    like: Path | None = None,
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    in_place: Flag = False,
    overwrite: Flag = False,
    jobs: JobsOption = 0,
) -> int:
    """Make files of two patients ones of a single patient.

    Files of the patient --from get name, ID, birth date and sex of the patient --into; what they
    were before is in Original Attributes Sequence (0400,0561). All other bytes stay, and files of
    other patients are passed over.

    Parameters
    ----------
    paths
        Files, or folders with all below them.
    from_
        Patient ID that is given up.
    into
        Patient ID that stays.
    like
        File of the patient who stays; else the first one of --into that is found.
    output
        Folder to write to, as the files lie below the folders that are named.
    in_place
        Change the files themselves.
    overwrite
        Replace files of --output that exist.
    """
    if (output is not None) + in_place != 1:
        raise UsageError("say one of --output and --in-place")
    if from_ == into:
        raise UsageError("--from and --into are the same patient")
    values = _values_of(into, [like] if like else paths, jobs)

    def merge(file: DicomFile, target: Path) -> bool:
        if file.elements.texts(_PATIENT_ID) != (from_,):
            return False
        pieces = partial(_merge, file, values)
        write_whole(file, target, pieces, replaces=in_place or overwrite)
        return True

    done, failed = change_files(paths, output, merge, failures=(UnencodableValue,), jobs=jobs)
    say(f"{done} file{'' if done == 1 else 's'} written")
    return exit_code(done, failed, f"no file is of the patient {from_!r}")


def _values_of(patient: str, paths: list[Path], jobs: int) -> Values:
    """Return what the first file of a patient says of him."""
    wanted = {tag_of(each) for each in (*_FILLED, *_OPTIONAL)}

    def read(found: tuple[Path, bool]) -> Values | None:
        # Why a file cannot be read is said when it is to be changed.
        with suppress(NotPart10, MalformedDataset, OSError):
            attributes = scan_file(found[0], wanted).attributes
            if texts(attributes, _PATIENT_ID) == (patient,):
                values: Values = {tag: texts(attributes, tag) or None for tag in wanted}
                return values | {tag_of(each): texts(attributes, tag_of(each)) for each in _FILLED}
        return None

    if values := next(filter(None, map_files(read, walk(paths), jobs, label="reading")), None):
        return values
    raise UsageError(f"there is no file of the patient {patient!r}: name one with --like")


def _merge(file: DicomFile, values: Values) -> Iterator[bytes | memoryview]:
    modification = Modification(time.time(), _SYSTEM, reason="CORRECT")
    editor = DatasetEditor(file.meta.transfer_syntax_uid, values, modification)
    yield file.head
    try:
        for block in _read_dataset(file):
            yield from editor.feed(block)
        yield from editor.finish()
    except MalformedDataset as error:
        raise CommandError(f"damaged: {error.what}") from error


def _read_dataset(file: DicomFile) -> Iterator[bytes]:
    with file.path.open("rb") as source:
        source.seek(file.meta.dataset_offset)
        while block := source.read(_BLOCK):
            yield block
