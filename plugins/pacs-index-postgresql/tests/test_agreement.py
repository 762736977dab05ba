"""The index answers as SQLite's does: random records and queries, text of every kind included."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from pacs_index_postgresql.index import PostgresqlIndex
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import (
    AllOf,
    AnyOf,
    Condition,
    DateTimeRange,
    Either,
    Empty,
    Index,
    Level,
    Not,
    Order,
    PersonName,
    Query,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    name_groups,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import make_record, path_of

pytestmark = pytest.mark.anyio

TEXT = st.one_of(
    st.sampled_from(["", "A", "a", "Ä^b", "é", "é", "ß", "SS", "STRASSE", "Ⅷ", "İ", "山田^太郎"]),
    st.text(alphabet="aAbB^=*%_[]é \x00\x01\U0001f600\ud800", max_size=5),
)
NAME = st.one_of(
    st.sampled_from(["Doe^John", "DOE^john", "doe", "Müller^Jürgen", "山田=ヤマダ", "a^b^c"]), TEXT
)
DATE = st.sampled_from(["", "20200101", "2020.01.01", "20200102", "19991231", "2020", "nonsense"])
TIME = st.sampled_from(["", "10", "1000", "100000.5", "235959", "nonsense"])
NUMBER = st.sampled_from(["", "1", "01", "+1", " 1", "1.0", "1e0", "10", "9", "x", "1_0"])
VALUES = st.fixed_dictionaries(
    {
        "PatientID": st.sampled_from(["P1", "p1", "P2", "Ä", ""]),
        "PatientName": st.one_of(NAME, st.lists(NAME, max_size=2)),
        "PatientBirthDate": DATE,
        "OtherPatientIDs": st.lists(TEXT, max_size=2),
        "StudyDate": DATE,
        "StudyTime": TIME,
        "StudyDescription": TEXT,
        "PatientSize": NUMBER,
        "TimezoneOffsetFromUTC": st.sampled_from(["", "+0200", "-0500"]),
        "SeriesNumber": NUMBER,
        "SeriesDescription": st.one_of(TEXT, st.lists(TEXT, max_size=2)),
        "AcquisitionDateTime": st.sampled_from(["", "20200101100000+0100", "2020", "x"]),
        "Modality": st.sampled_from(["CT", "MR"]),
        "RequestAttributesSequence": st.lists(
            st.fixed_dictionaries({"ScheduledProcedureStepID": TEXT}), max_size=2
        ),
        "StudyInstanceUID": st.sampled_from(["1.7.1", "1.7.2"]),
        "SeriesInstanceUID": st.sampled_from(["1.8.1", "1.8.2"]),
        "SOPInstanceUID": st.sampled_from(["1.9.1", "1.9.2", "1.9.3"]),
        "InstanceNumber": NUMBER,
    }
)
_TEXTS = ("PatientID", "OtherPatientIDs", "StudyDescription", "SeriesDescription", "Modality")
_NUMBERS = ("PatientSize", "SeriesNumber")
_SORTED = (*_TEXTS, *_NUMBERS, "PatientName", "StudyDate", "StudyTime")
_DATES = ("PatientBirthDate", "StudyDate")


def tags(words: tuple[str, ...]) -> st.SearchStrategy[int]:
    return st.sampled_from(words).map(tag_of)


PLAIN: st.SearchStrategy[Condition] = st.one_of(
    st.builds(SingleValue, tags(_TEXTS), TEXT),
    st.builds(SingleValue, tags(_NUMBERS), NUMBER),
    st.builds(SingleValue, tags(_DATES), DATE),
    st.builds(Wildcard, tags(_TEXTS), TEXT.map(lambda text: f"{text}*".replace("\x00", "?"))),
    st.builds(Range, tags(_DATES), DATE, DATE),
    st.builds(Empty, tags(_SORTED)),
    st.builds(PersonName, st.just(tag_of("PatientName")), NAME.map(name_groups), st.booleans()),
    st.builds(UidList, st.just(tag_of("SeriesInstanceUID")), st.just(("1.8.1", "1.8.9"))),
    st.builds(
        DateTimeRange,
        st.just(tag_of("StudyDate")),
        st.just(tag_of("StudyTime")),
        DATE,
        TIME,
        DATE,
        TIME,
        st.booleans(),
        st.sampled_from(["", "+0200"]),
    ),
    st.builds(
        lambda value: SequenceMatch(
            tag_of("RequestAttributesSequence"),
            (SingleValue(tag_of("ScheduledProcedureStepID"), value),),
        ),
        TEXT,
    ),
)
CONDITION = st.one_of(
    PLAIN,
    st.lists(TEXT, min_size=1, max_size=3).map(
        lambda texts: AnyOf(
            tag_of("StudyDescription"),
            tuple(SingleValue(tag_of("StudyDescription"), text) for text in texts),
        )
    ),
)
EITHER = st.lists(CONDITION, max_size=3).map(lambda each: Either(tuple(each)))
RESTRICTION = st.one_of(
    PLAIN, PLAIN.map(Not), st.lists(PLAIN, max_size=2).map(lambda r: Either(tuple(r)))
)
QUERIES = st.builds(
    lambda level, conditions, order, restrictions: Query(
        level,
        tuple(conditions),
        order=tuple(order),
        restrictions=(AllOf(tuple(restrictions)),) if restrictions else (),
    ),
    st.sampled_from(Level),
    st.lists(st.one_of(CONDITION, EITHER), max_size=2),
    st.lists(
        st.builds(Order, st.sampled_from(["PatientName", "PatientID"]).map(tag_of), st.booleans()),
        max_size=1,
    ),
    st.lists(RESTRICTION, max_size=1),
)
RETURNED = """
    PatientID PatientName StudyDate StudyDescription SeriesDescription ModalitiesInStudy
    NumberOfStudyRelatedInstances StudyInstanceUID SeriesInstanceUID SOPInstanceUID InstanceNumber
"""


async def answer(index: Index, query: Query) -> Any:
    """Return all that a query brings; sorted results in their order, as far as it is defined."""
    try:
        results = [result async for result in index.search(query)]
    except ValueError as error:
        return str(error)
    keys = [[repr(result.get(order.tag)) for order in query.order] for result in results]
    instances = {repr(i) async for i in index.instances(query)}
    rows = sorted(repr(sorted(result.items())) for result in results)
    return keys if query.order else [], rows, instances, await index.count(query)


@pytest.fixture
async def other(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteIndex]:
    """The index to agree with."""
    other = SqliteIndex(tmp_path / "index.sqlite")
    await other.start()
    yield other
    await other.stop()


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink one takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(VALUES, max_size=4), st.lists(QUERIES, min_size=2, max_size=5))
async def test_both_agree(
    index: PostgresqlIndex,
    other: SqliteIndex,
    records: list[dict[str, Any]],
    queries: list[Query],
) -> None:
    await index.clear()
    await other.clear()
    for values in records:
        record = make_record("1", **values)
        mine, theirs = await index.add(record), await other.add(record)
        assert mine.existing == theirs.existing
        assert set(mine.conflicts) == set(theirs.conflicts), values
    returning = frozenset(map(tag_of, RETURNED.split()))
    for query in queries:
        asked = Query(
            query.level,
            query.conditions,
            returning,
            order=query.order,
            restrictions=query.restrictions,
        )
        assert await answer(index, asked) == await answer(other, asked), asked
    for values in records:
        path = path_of(make_record("1", **values))
        assert await index.remove(path) == await other.remove(path)
    assert await index.is_empty()
