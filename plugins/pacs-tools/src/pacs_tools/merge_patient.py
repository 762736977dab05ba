"""``pacs merge-patient``: files of two patients that are one (PS3.3 C.7.1.1, C.12.1.1.9)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from pacs_core.api.file_commands import (
    NOTHING,
    CommandError,
    Draft,
    UsageError,
    complain,
    say,
    walk,
)
from pacs_core.dataset import (
    DatasetEditor,
    MalformedDataset,
    Modification,
    NotPart10,
    UnencodableValue,
    tag_of,
)
from pacs_tools.files import DicomFile, explain, open_dicom

_PATIENT_ID: Final = tag_of("PatientID")
_FILLED: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
"""Type 2: there, though they may be empty (PS3.3 Table C.7-1)."""

_OPTIONAL: Final = ("IssuerOfPatientID", "TypeOfPatientID", "PatientBirthTime")
_BLOCK: Final = 1 << 20
_SYSTEM: Final = "pacs merge-patient"

Flag = Annotated[bool, Parameter(negative=())]
Values = dict[int, tuple[str, ...] | None]


def merge_patient(
    paths: list[Path],
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    into: str,
    like: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    in_place: Flag = False,
    overwrite: Flag = False,
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
    values = _values_of(into, [like] if like else paths)
    done = failed = 0
    for start in paths:
        for path, named in walk([start]):
            below = Path(path.name) if named else path.relative_to(start)
            target = path if output is None else output / below
            try:
                with open_dicom(path) as file:
                    if file.elements.texts(_PATIENT_ID) != (from_,):
                        continue
                    _merge(file, values, target, replaces=in_place or overwrite)
                    done += 1
                    continue
            except (CommandError, UnencodableValue) as error:
                reason = str(error)
            except (NotPart10, OSError) as error:
                reason = explain(path, named, error)
            if reason:
                complain(f"{path}: {reason}")
                failed += 1
    say(f"{done} file{'' if done == 1 else 's'} written")
    return 1 if failed else 0 if done else NOTHING


def _values_of(patient: str, paths: list[Path]) -> Values:
    """Return what files of a patient say of him."""
    for path, _ in walk(paths):
        try:
            with open_dicom(path) as file:
                if file.elements.texts(_PATIENT_ID) == (patient,):
                    return _read(file)
        except (NotPart10, OSError):
            continue
    raise UsageError(f"there is no file of the patient {patient!r}: name one with --like")


def _read(file: DicomFile) -> Values:
    found: Values = {tag_of(each): file.elements.texts(tag_of(each)) for each in _FILLED}
    return found | {tag_of(each): file.elements.texts(tag_of(each)) or None for each in _OPTIONAL}


def _merge(file: DicomFile, values: Values, target: Path, *, replaces: bool) -> None:
    if file.damage:
        raise CommandError(f"damaged: {file.damage}")
    if target.exists() and not replaces:
        raise CommandError(f"{target} exists: say --overwrite to replace it")
    modification = Modification(time.time(), _SYSTEM, reason="CORRECT")
    editor = DatasetEditor(file.meta.transfer_syntax_uid, values, modification)
    mode = file.path.stat().st_mode
    draft = Draft(target.parent)
    try:
        draft.write(file.read_head())
        for block in _read_dataset(file):
            for piece in editor.feed(block):
                draft.write(piece)
        for piece in editor.finish():
            draft.write(piece)
        draft.finish(name=target.name)
        target.chmod(mode)
    except MalformedDataset as error:
        raise CommandError(f"damaged: {error.what}") from error
    finally:
        draft.discard()


def _read_dataset(file: DicomFile) -> Iterator[bytes]:
    with file.path.open("rb") as source:
        source.seek(file.meta.dataset_offset)
        while block := source.read(_BLOCK):
            yield block
