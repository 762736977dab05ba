"""The same million instances in Orthanc's index, as Orthanc itself would have written it.

To send them takes Orthanc hours. Orthanc 1.12 and earlier keep one SQLite schema (version 6); a
database that Orthanc has made is filled with the rows that it makes of each instance. Files are
not needed: with ``StorageAccessOnFind`` ``Never`` it answers C-FIND from the index alone.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import data, million
from .contestant import Contestant, running

_PATIENT, _STUDY, _SERIES, _INSTANCE = 1, 2, 3, 4
_TABLES = {
    "Resources": "?, ?, ?, ?",
    "MainDicomTags": "?, ?, ?, ?",
    "DicomIdentifiers": "?, ?, ?, ?",
    "Metadata": "?, ?, ?",
}
_TIME = "20200101T120000"
_INDEX_IN_SERIES, _LAST_UPDATE, _TRANSFER_SYNTAX, _SOP_CLASS = 1, 7, 9, 10

Row = tuple[str, tuple[object, ...]]
Tags = dict[tuple[int, int], str]


def place(contestant: Contestant, studies: int, directory: Path) -> None:
    """Give Orthanc's directory an index of so many studies, which is kept for later runs."""
    kept = million.KEPT / f"orthanc-{studies}.sqlite"
    if not kept.exists():
        million.KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=million.KEPT) as empty:
            with running(contestant, Path(empty) / "run", keep=True):
                pass
            made = Path(empty) / "run" / "storage" / "index"
            _fill(made, studies)
            made.rename(kept)
    storage = directory / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, storage / "index")


def _fill(index: Path, studies: int) -> None:
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for batch in _batches(studies):
            for table, rows in batch.items():
                connection.executemany(f"INSERT INTO {table} VALUES ({_TABLES[table]})", rows)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _batches(studies: int) -> Iterator[dict[str, list[tuple[object, ...]]]]:
    number = 0
    for study in range(studies):
        batch: dict[str, list[tuple[object, ...]]] = {table: [] for table in _TABLES}
        for table, row in _study(study, number):
            batch[table].append(row)
            number += table == "Resources"
        yield batch


def _study(study: int, taken: int) -> Iterator[Row]:
    """Yield the rows of a study, its patient, and all that is below it."""
    patient_id, name = f"P{study:08d}", data.patient_name(study)
    of_patient = {
        (0x10, 0x10): name,
        (0x10, 0x20): patient_id,
        (0x10, 0x30): "19600101",
        (0x10, 0x40): "F",
    }
    of_study = of_patient | {
        (0x08, 0x20): data.study_date(study),
        (0x08, 0x30): "100000",
        (0x08, 0x50): f"A{study:08d}",
        (0x08, 0x80): "Benchmark Hospital",
        (0x08, 0x90): "Referrer^Rita",
        (0x08, 0x1030): "Thorax native",
        (0x20, 0x0D): data.study_uid(study),
        (0x20, 0x10): f"S{study:08d}",
    }
    names = [patient_id]
    patient = taken + 1
    yield from _resource(patient, _PATIENT, None, names, of_patient)
    names.append(data.study_uid(study))
    yield from _resource(patient + 1, _STUDY, patient, names, of_study)
    number = patient + 1
    for series in range(study * million.SERIES_PER_STUDY, (study + 1) * million.SERIES_PER_STUDY):
        yield from _series(study, series, number, patient + 1, names)
        number += 1 + million.INSTANCES_PER_SERIES


def _series(study: int, series: int, taken: int, parent: int, names: list[str]) -> Iterator[Row]:
    tags = {
        (0x08, 0x21): data.study_date(study),
        (0x08, 0x31): "101000",
        (0x08, 0x60): data.modality(study),
        (0x08, 0x70): "Synthetic",
        (0x08, 0x1010): "BENCH1",
        (0x08, 0x103E): "Axial 1.0 mm",
        (0x18, 0x15): "CHEST",
        (0x18, 0x1030): "Thorax",
        (0x20, 0x0E): data.series_uid(series),
        (0x20, 0x11): str(series % million.SERIES_PER_STUDY + 1),
        (0x20, 0x37): "1\\0\\0\\0\\1\\0",
    }
    names = [*names, data.series_uid(series)]
    yield from _resource(taken + 1, _SERIES, parent, names, tags)
    for within in range(million.INSTANCES_PER_SERIES):
        instance = data.instance_uid(series * million.INSTANCES_PER_SERIES + within)
        tags = {
            (0x08, 0x12): data.study_date(study),
            (0x08, 0x13): "101500",
            (0x08, 0x18): instance,
            (0x20, 0x12): "1",
            (0x20, 0x13): str(within + 1),
            (0x20, 0x32): "-180\\-180\\-50",
            (0x20, 0x37): "1\\0\\0\\0\\1\\0",
        }
        number = taken + 2 + within
        yield from _resource(number, _INSTANCE, taken + 1, [*names, instance], tags)
        for kind, value in (
            (_INDEX_IN_SERIES, str(within + 1)),
            (_TRANSFER_SYNTAX, data.EXPLICIT_LITTLE),
            (_SOP_CLASS, data.CT_IMAGE),
        ):
            yield "Metadata", (number, kind, value)


def _resource(
    number: int, level: int, parent: int | None, names: list[str], tags: Tags
) -> Iterator[Row]:
    yield "Resources", (number, level, _public_id(names), parent)
    for (group, element), value in tags.items():
        yield "MainDicomTags", (number, group, element, value)
        if (group, element) in _IDENTIFIERS[level]:
            yield "DicomIdentifiers", (number, group, element, value.upper())
    if level != _INSTANCE:
        yield "Metadata", (number, _LAST_UPDATE, _TIME)


_OF_PATIENTS = {(0x10, 0x20), (0x10, 0x10), (0x10, 0x30)}
_IDENTIFIERS = {
    _PATIENT: _OF_PATIENTS,
    _STUDY: _OF_PATIENTS | {(0x20, 0x0D), (0x08, 0x50), (0x08, 0x1030), (0x08, 0x20)},
    _SERIES: {(0x20, 0x0E)},
    _INSTANCE: {(0x08, 0x18)},
}
"""The tags that Orthanc matches in its index, normalized to upper case."""


def _public_id(names: list[str]) -> str:
    digest = hashlib.sha1("|".join(names).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))
