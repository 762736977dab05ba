"""The index keeps the contract of all indexes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pacs_index_sqlite.dialect import SQLITE
from pacs_index_sqlite.index import SqliteIndex

from pacs_core.contracts import AllOf, Either, Level, Not, Query, Restriction, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.relational import build_catalog, matching_entities
from pacs_core.testing.index_contract import IndexContract
from pacs_core.testing.index_harness import found, make_record
from pacs_core.testing.index_restrictions import IndexRestrictions


class TestSqliteIndex(IndexContract):
    @pytest.fixture(autouse=True)
    def _take(self, make_empty: Callable[[Path], SqliteIndex]) -> None:
        self._make_empty = make_empty

    async def make_index(self, tmp_path: Path) -> SqliteIndex:
        return self._make_empty(tmp_path / "index.sqlite")


class TestRestrictionsByFunction(IndexRestrictions):
    """Every restriction as a function that SQL calls, as otherwise only long ones are."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture(autouse=True)
    def no_sql(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pacs_index_sqlite.dialect._FEW", -1)


@pytest.mark.anyio
async def test_a_statement_does_not_grow_with_the_conditions_of_a_restriction(
    index: SqliteIndex,
) -> None:
    """However many names a policy denies and allows, in turns."""

    def query(count: int) -> Query:
        names = [SingleValue(tag_of("PatientName"), f"Doe^{n}") for n in range(2 * count)]
        pairs = zip(names[::2], names[1::2], strict=True)
        each = tuple(AllOf((allowed, Not(denied))) for allowed, denied in pairs)
        restriction: Restriction = Either(each)
        return Query(Level.STUDY, restrictions=(restriction,))

    sizes = set()
    for count in (10, 500):
        text, parameters = matching_entities(SQLITE, build_catalog(), query(count)).statement(
            (), 9, 0
        )
        sizes.add((len(text), len(parameters)))
    assert len(sizes) == 1
    for study in range(4):
        await index.add(make_record(f"{study}.1.1", PatientName=f"DOE^{study}"))
    restrictions = query(500).restrictions
    assert await found(index, Level.STUDY, restrictions=restrictions) == ["1.2.3.0", "1.2.3.2"]
