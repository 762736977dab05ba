"""Tables of new SQLite files: those that the revisions of each plugin make, written down."""

import re
import sys
from pathlib import Path

import pytest
from pacs_database.api import Database
from pacs_database.snapshots import SNAPSHOT, make
from pacs_database.testing import open_database
from sqlalchemy import text

PLUGINS = Path(__file__).parents[2] / "plugins"
FOLDERS = sorted(PLUGINS.glob("*/src/*/revisions"))

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_every_plugin_with_tables_has_them_written_down() -> None:
    assert len(FOLDERS) >= 10
    assert [folder for folder in FOLDERS if not (folder / SNAPSHOT).is_file()] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
async def test_a_new_file_has_what_the_revisions_make(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a text is not that of the revisions: make it anew with the command in its second line."""
    content, package = (folder / SNAPSHOT).read_text(), f"{folder.parent.name}.revisions"
    found = re.search(r"CREATE TABLE (\w+)_revisions", content)
    assert found is not None
    owner = found[1]
    for name in ("migrated", "new"):
        (tmp_path / name).mkdir()
    async with open_database(tmp_path / "migrated") as database:
        async with database.begin() as connection:
            assert await connection.run_sync(make, owner, package) == content
        expected = await dump(database)
    monkeypatch.setitem(sys.modules, "alembic.operations", None)
    async with open_database(tmp_path / "new") as database:
        await database.migrate(owner, package)
        assert await dump(database) == expected


async def dump(database: Database) -> dict[str, tuple[str, list[tuple[object, ...]]]]:
    """What a file holds: its tables and indexes, without their white space, and all rows."""
    async with database.connect() as connection:
        kept = await connection.execute(text("SELECT name, type, sql FROM sqlite_master"))
        held = {}
        for name, kind, sql in kept.all():
            rows = await connection.execute(
                text(f'SELECT * FROM "{name}"' if kind == "table" else "SELECT 1 WHERE FALSE")
            )
            held[name] = ("".join((sql or "").split()), [tuple(row) for row in rows])
        return held
