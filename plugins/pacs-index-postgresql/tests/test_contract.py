"""The index keeps the contract of all indexes."""

from pathlib import Path

import pytest
from pacs_index_postgresql.index import PostgresqlIndex

from pacs_core.testing.index_contract import IndexContract


class TestPostgresqlIndex(IndexContract):
    @pytest.fixture(autouse=True)
    def _take(self, make_empty) -> None:
        self._make_empty = make_empty

    async def make_index(self, tmp_path: Path) -> PostgresqlIndex:
        return await self._make_empty()
