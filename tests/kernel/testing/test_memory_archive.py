"""The archive in memory keeps the contract that providers rely on."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.contracts import (
    DateTimeRange,
    DuplicateInstanceError,
    Empty,
    IdentityMismatchError,
    IngestOutcome,
    InstanceNotFoundError,
    InvalidInstanceError,
    Level,
    Origin,
    PersonName,
    Query,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    matches,
)
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import MemoryDataset

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ORIGIN = Origin("test")
NAME, ID, DATE, TIME = map(tag_of, ("PatientName", "PatientID", "StudyDate", "StudyTime"))
STUDY, CODES, CODE = map(tag_of, ("StudyInstanceUID", "ProcedureCodeSequence", "CodeValue"))

ATTRIBUTES = {
    NAME: ("Yamada^Tarou=山田^太郎",),
    ID: ("P1",),
    DATE: ("20200131",),
    TIME: ("1030",),
    STUDY: ("1.2",),
    CODES: ({CODE: ("T1",)}, {CODE: ("T2",)}),
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (SingleValue(ID, "P1"), True),
        (SingleValue(ID, "p1"), False),
        (UidList(STUDY, ("1.1", "1.2")), True),
        (UidList(STUDY, ("1.1",)), False),
        (Wildcard(ID, "P?"), True),
        (Wildcard(ID, "*1"), True),
        (Wildcard(ID, "?"), False),
        (Wildcard(ID, "[P]1"), False),
        (Range(DATE, "20200131", ""), True),
        (Range(DATE, "", "20200130"), False),
        (Range(TIME, "10", "10"), True),
        (Range(TIME, "1031", ""), False),
        (DateTimeRange(DATE, TIME, "20200130", "11", "20200131", "1030"), True),
        (DateTimeRange(DATE, TIME, "20200130", "11", "20200131", "1029"), False),
        (PersonName(NAME, ("yamada*",)), True),
        (PersonName(NAME, ("山田*",)), True),
        (PersonName(NAME, ("", "山田*")), True),
        (PersonName(NAME, ("山田*", "")), False),
        (SequenceMatch(CODES, (SingleValue(CODE, "T2"),)), True),
        (SequenceMatch(CODES, (SingleValue(CODE, "T3"),)), False),
        (Empty(ID), False),
        (Empty(tag_of("AccessionNumber")), True),
    ],
)
def test_matching(condition, expected):
    assert matches(condition, ATTRIBUTES) is expected


@given(st.text(min_size=1, max_size=20))
def test_any_text_matches_itself_and_the_wildcard_of_any(text):
    attributes = {ID: (text,)}
    assert matches(SingleValue(ID, text), attributes)
    assert matches(Wildcard(ID, text), attributes)
    assert matches(Wildcard(ID, "*"), attributes)


def dataset(instance_uid="1.2.3.4", **more):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": instance_uid,
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "PatientID": "P1",
        **more,
    }
    encoded = {tag_of(keyword): (value,) for keyword, value in values.items() if value}
    return encode_attributes(encoded, EXPLICIT)


async def ingest(archive, data, instance_uid="1.2.3.4"):
    return await archive.ingest(
        MemoryDataset(data, fragment=5),
        transfer_syntax_uid=EXPLICIT,
        sop_class_uid=CT,
        sop_instance_uid=instance_uid,
        origin=ORIGIN,
    )


@pytest.mark.anyio
async def test_what_was_ingested_is_found_opened_and_deleted():
    archive = MemoryArchive()
    result = await ingest(archive, dataset())
    assert result.outcome is IngestOutcome.STORED
    assert (await ingest(archive, dataset())).outcome is IngestOutcome.IDENTICAL
    found = [f async for f in archive.search(Query(Level.STUDY, returning=frozenset({ID})))]
    assert found == [{ID: ("P1",)}]
    assert [i async for i in archive.instances(Query(Level.PATIENT))] == [result.instance]
    async with await archive.open(result.instance) as reader:
        assert await reader.read(result.instance.dataset_offset, 1 << 16) == dataset()
    await archive.delete(result.instance.identity.path, ORIGIN)
    assert await archive.locate(result.instance.identity.path) is None
    with pytest.raises(InstanceNotFoundError):
        await archive.open(result.instance)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x08\x00", InvalidInstanceError),
        (dataset(StudyInstanceUID=""), InvalidInstanceError),
        (dataset("1.2.3.5"), IdentityMismatchError),
        (dataset(PatientName="Other"), DuplicateInstanceError),
    ],
)
async def test_what_cannot_be_ingested(data, error):
    archive = MemoryArchive()
    archive.put(dataset(), EXPLICIT)
    with pytest.raises(error):
        await ingest(archive, data)
    assert len([i async for i in archive.instances(Query(Level.IMAGE))]) == 1
