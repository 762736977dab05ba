"""Records for indexes under test, and short ways to search them."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pacs_core.contracts import (
    Condition,
    Either,
    Index,
    InstanceIdentity,
    InstancePath,
    InstanceRecord,
    Level,
    PersonName,
    Query,
    StoredInstance,
    name_groups,
)
from pacs_core.dataset import Attributes, tag_of

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

Given: TypeAlias = str | Iterable["str | Mapping[str, Given]"]
"""A value as tests write it: one text, several, or items of a sequence keyed by keyword."""


def attributes_of(values: Mapping[str, Given]) -> Attributes:
    """Return attributes by tag for values by keyword."""
    return {tag_of(keyword): _values(value) for keyword, value in values.items()}


def _values(value: Given) -> tuple[str | Attributes, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(v if isinstance(v, str) else attributes_of(v) for v in value)


def make_record(instance: str = "1", /, **values: Given) -> InstanceRecord:
    """Return a record to add to an index.

    Parameters
    ----------
    instance : str
        Names the instance: ``"study.series.number"`` as in ``"2.1.7"``. What is left out from
        the front is 1: ``"7"`` is instance 7 of series 1 in study 1.
    **values
        Attributes by keyword. Patient ID and Modality are ``P1`` and ``CT`` unless given;
        Instance Number is the last part of the name; UIDs may be given to override the name's.
    """
    study, series, number = (["1", "1", *instance.split(".")])[-3:]
    given: dict[str, Given] = {
        "PatientID": "P1",
        "Modality": "CT",
        "InstanceNumber": number,
        "SOPClassUID": CT,
        "StudyInstanceUID": f"1.2.3.{study}",
        "SeriesInstanceUID": f"1.2.3.{study}.{series}",
        "SOPInstanceUID": f"1.2.3.{study}.{series}.{number}",
        **values,
    }
    uids = [
        str(given[keyword])
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
    ]
    identity = InstanceIdentity(*uids)
    stored = StoredInstance(identity, EXPLICIT_LITTLE_ENDIAN, f"key/{uids[2]}", 1000, 400)
    return InstanceRecord(stored, attributes_of(given))


def uid_of(record: InstanceRecord) -> str:
    """Return the SOP Instance UID of a record."""
    return record.instance.identity.sop_instance_uid


def path_of(record: InstanceRecord) -> InstancePath:
    """Return the path of a record."""
    return record.instance.identity.path


def path(instance: str) -> InstancePath:
    """Return the path of an instance that :func:`make_record` names like this."""
    return path_of(make_record(instance))


async def found(
    index: Index, level: Level, *conditions: Condition | Either, key: str = "", **options: Any
) -> list[str]:
    """Return the unique keys of what matches, or the first values of the attribute `key`."""
    wanted = tag_of(key or _UNIQUE_KEYS[level])
    query = Query(level, conditions, frozenset({wanted}), **options)
    return ["\\".join(map(str, result[wanted])) async for result in index.search(query)]


async def one(index: Index, level: Level, *keywords: str) -> Attributes:
    """Return the only result of a search without conditions."""
    query = Query(level, (), frozenset(map(tag_of, keywords)))
    results = [result async for result in index.search(query)]
    assert len(results) == 1
    return results[0]


_UNIQUE_KEYS = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}


def name(pattern: str, *, keyword: str = "PatientName", fuzzy: bool = False) -> PersonName:
    """Return a condition on a person name, as a query's author writes the pattern."""
    return PersonName(tag_of(keyword), name_groups(pattern), fuzzy)


async def populate(index: Index) -> None:
    """Add a patient's two studies of three series and four instances, of CT and MR."""
    for n, modality, sop_class in (
        ("1.1.1", "CT", CT),
        ("1.1.2", "CT", CT),
        ("1.2.1", "MR", MR),
        ("2.1.1", "CT", CT),
    ):
        await index.add(make_record(n, Modality=modality, SOPClassUID=sop_class))
