"""Searches that name what they find: read in the event loop's thread, as long as that is fast."""

import threading
from pathlib import Path

import pytest
from pacs_index_sqlite import database
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.database import ReaderPool
from pacs_index_sqlite.index import SqliteIndex
from pacs_index_sqlite.searching import names_few

from pacs_core.contracts import (
    InstanceRecord,
    Level,
    Not,
    Query,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.testing.index_harness import make_record

pytestmark = pytest.mark.anyio

PATIENT, STUDY, SERIES, INSTANCE = 0x0010_0020, 0x0020_000D, 0x0020_000E, 0x0008_0018
OF_STUDY, OF_SERIES = SingleValue(STUDY, "1.2"), SingleValue(SERIES, "1.3")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(Level.STUDY, (OF_STUDY,)), True),
        (Query(Level.SERIES, (OF_STUDY, OF_SERIES)), True),
        (Query(Level.IMAGE, (SingleValue(INSTANCE, "1.4"),)), True),
        (Query(Level.STUDY), False),
        (Query(Level.SERIES, (OF_STUDY,)), False),
        (Query(Level.PATIENT, (SingleValue(PATIENT, "1"),)), False),
        (Query(Level.STUDY, (OF_STUDY, Wildcard(PATIENT, "*"))), False),
        (Query(Level.STUDY, (UidList(STUDY, ("1.2", "1.3")),)), False),
        (Query(Level.STUDY, (OF_STUDY,), restrictions=(Not(OF_SERIES),)), False),
    ],
)
def test_which_name_what_they_find(query: Query, expected: bool) -> None:
    assert names_few(query) is expected


@pytest.fixture(autouse=True)
def nothing_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that was held up by other processes count as long."""
    monkeypatch.setattr(database, "_BRIEF", 1e9)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that have read, in order."""
    found: list[str] = []
    work = ReaderPool._work

    def note(self, function):
        found.append(threading.current_thread().name)
        return work(self, function)

    monkeypatch.setattr(ReaderPool, "_work", note)
    return found


async def search(index: SqliteIndex, record: InstanceRecord) -> None:
    uid = record.instance.identity.study_instance_uid
    query = Query(Level.STUDY, (SingleValue(STUDY, uid),), frozenset({STUDY}))
    assert [found[STUDY] async for found in index.search(query)] == [(uid,)]


async def test_a_study_is_looked_up_here(index: SqliteIndex, threads: list[str]) -> None:
    record = make_record("1")
    await index.add(record)
    for _ in range(3):  # the first makes a connection
        await search(index, record)
    assert [name == threading.current_thread().name for name in threads] == [False, True, True]
    assert [found async for found in index.search(Query(Level.STUDY))]
    assert threads[3] != threading.current_thread().name


async def test_after_a_long_one_threads_read(
    index: SqliteIndex, threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record("1")
    await index.add(record)
    await search(index, record)
    monkeypatch.setattr(database, "_BRIEF", 0.0)
    monkeypatch.setattr(database, "_REST", 1e9)
    await search(index, record)
    await search(index, record)
    assert [name == threading.current_thread().name for name in threads] == [False, True, False]


async def test_what_fails_here_fails_as_in_a_thread(index: SqliteIndex, path: Path) -> None:
    pool = ReaderPool(path, SqliteIndexConfig())
    await pool.run(lambda connection: None)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await pool.run_brief(lambda connection: 1 // 0)
    assert await pool.run_brief(lambda connection: threading.current_thread().name) == (
        threading.current_thread().name
    )
    pool.close()
