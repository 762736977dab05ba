"""The index keeps the contract of all indexes."""

from pathlib import Path

from pacs_index_sqlite.index import SqliteIndex

from pacs_core.testing.index_contract import IndexContract


class TestSqliteIndex(IndexContract):
    async def make_index(self, tmp_path: Path) -> SqliteIndex:
        return SqliteIndex(tmp_path / "folder" / "index.sqlite")
