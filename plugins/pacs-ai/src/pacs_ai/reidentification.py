"""Re-identification of results: what a service was told under other names gets its own again.

Theory of operation
-------------------
Before instances go out, each is held against what was made of it, and what differs is written down
with the request: UIDs at any depth, dates, and the texts that name the patient and the order. A
result is gone through, at any depth, and what is one of these values becomes the original again;
patient and study are then those of the source, if the result is of the patient and the study that
the service was told of. What a service has made itself, its own UIDs and the moment of its work,
is left alone.

A result is read whole for that, and written again: its bytes are not those that came. The digest
that is kept is that of what came.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio.to_thread
from attrs import evolve

from pacs_ai.files import ResultFile, open_file
from pacs_core.contracts import DeidentifiedInstance
from pacs_core.dataset import DatasetDecoder

if TYPE_CHECKING:
    from pydicom import Dataset

_LIMIT: Final = 64 << 20
_TEXTS: Final = frozenset(
    {"PatientID", "PatientName", "AccessionNumber", "StudyID", "IssuerOfPatientID"}
)
_MOMENTS: Final = frozenset({"DA", "DT"})
_OWN_MOMENTS: Final = frozenset(
    {"ContentDate", "InstanceCreationDate", "SeriesDate", "InstanceCreatorUID"}
)
"""Of the making of a result, and not of what it is about."""
_PATIENT_AND_STUDY: Final = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
    "StudyDescription", "PatientAge", "PatientSize", "PatientWeight",
)  # fmt: skip
_STANDARD: Final = "1.2.840.10008."


async def read_deidentified(made: DeidentifiedInstance) -> "Dataset":
    """Return the header of what was made of an instance."""
    decoder = DatasetDecoder(made.transfer_syntax_uid, stop_before_pixels=True, max_length=_LIMIT)
    async for piece in made.read(made.dataset_offset):
        decoder.feed(piece)
        if decoder.has_stopped:
            break
    return await anyio.to_thread.run_sync(decoder.finish)


def names_of(original: "Dataset", made: "Dataset") -> dict[str, str]:
    """Return the original of each value that tells whose an instance is, by what became of it."""
    found: dict[str, str] = {}
    _compare(original, made, found)
    return found


def _compare(original: "Dataset", made: "Dataset", found: dict[str, str]) -> None:
    for element in made:
        before = original.get(element.tag)
        if before is None:
            continue
        if element.VR == "SQ":
            for one, other in zip(before.value or (), element.value or (), strict=False):
                _compare(one, other, found)
            continue
        key = _key(element)
        value = str(before.value or "")
        if key and value and str(element.value) != value:
            found.setdefault(key, value)


def _key(element: Any) -> str:
    """Return by what the original of a value is kept; empty if none is."""
    value = str(element.value or "")
    if not value or element.VM > 1:
        return ""
    if element.VR == "UI":
        return "" if value.startswith(_STANDARD) else value
    if element.VR in _MOMENTS and element.keyword not in _OWN_MOMENTS:
        return f"{element.VR} {value}"
    return f"{element.VR} {value}" if element.keyword in _TEXTS else ""


async def reidentify(file: ResultFile, names: dict[str, str], source: "Dataset") -> ResultFile:
    """Return a result under its own names, beside the one that came, which goes."""

    def change() -> Path:
        from pydicom import dcmread

        dataset = dcmread(file.path)
        is_of_it = str(dataset.get("StudyInstanceUID", "")) in names
        _restore(dataset, names)
        if is_of_it and str(dataset.get("PatientID", "")) == str(source.get("PatientID", "")):
            for keyword in _PATIENT_AND_STUDY:
                if keyword in source:
                    dataset[keyword] = source[keyword]
                elif keyword in dataset:
                    del dataset[keyword]
            if "SpecificCharacterSet" in source:
                dataset.SpecificCharacterSet = "ISO_IR 192"
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod"):
            if keyword in dataset:
                del dataset[keyword]
        if "DeidentificationMethodCodeSequence" in dataset:
            del dataset.DeidentificationMethodCodeSequence
        path = file.path.with_name(f"{uuid4().hex}.dcm")
        dataset.save_as(path, enforce_file_format=True)
        file.path.unlink()
        return path

    made = await open_file(await anyio.to_thread.run_sync(change))
    return evolve(made, digest=file.digest, findings=file.findings)


def _restore(dataset: "Dataset", names: dict[str, str]) -> None:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or ():
                _restore(item, names)
        elif element.VM == 1 and (key := _key_of_result(element)) in names:
            element.value = names[key]
        elif element.VR == "UI" and element.VM > 1:
            element.value = [names.get(str(each), str(each)) for each in element.value]


def _key_of_result(element: Any) -> str:
    """Return the key of a value in a result, where texts may stand under other keywords."""
    value = str(element.value or "")
    if element.VR == "UI":
        return value
    if element.keyword in _OWN_MOMENTS:
        return ""
    return f"{element.VR} {value}"
