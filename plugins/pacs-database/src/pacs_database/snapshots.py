"""Tables as all revisions make them, for a SQLite file that has none yet.

A package of revisions may have a text beside them, ``sqlite.sql``: the statements that SQLite
itself keeps of the tables once all revisions have run. A new file gets its tables from it, without
Alembic, whose import and work take a quarter of a second for ten plugins, and four megabytes for
good. An older file is migrated, and so is one whose package has no such text, or one that was made
before its last revision. To make it anew::

    python -m pacs_database.snapshots OWNER PACKAGE
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import anyio
from sqlalchemy import Connection, text

SNAPSHOT: Final = "sqlite.sql"
_REVISION: Final = "-- revision: "
_END: Final = ";\n"

_KEPT: Final = text(
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
    "ORDER BY type = 'index', name"
)


def load(connection: Connection, owner: str, heads: frozenset[str], folder: Path) -> bool:
    """Make the tables of a plugin, in the transaction of a connection; False if it must migrate.

    Parameters
    ----------
    connection : Connection
        To a database without these tables.
    owner : str
    heads : frozenset of str
        The last revisions there are.
    folder : Path
        Has the revisions.
    """
    path = folder / SNAPSHOT
    if connection.dialect.name != "sqlite" or not path.is_file():
        return False
    first, _, statements = path.read_text(encoding="utf-8").partition("\n")
    revision = first.removeprefix(_REVISION)
    if heads != {revision}:
        return False
    for statement in statements.split(_END):
        if statement.strip():
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"INSERT INTO {owner}_revisions VALUES (?)", (revision,))  # noqa: S608
    return True


def make(connection: Connection, owner: str, package: str) -> str:
    """Return the text for tables that an empty database gets from its revisions."""
    from pacs_database.migrations import migrate

    migrate(connection, owner, package, use_snapshot=False)
    revision = connection.execute(text(f"SELECT version_num FROM {owner}_revisions")).scalar_one()  # noqa: S608
    statements = connection.execute(_KEPT).scalars().all()
    made = f"-- Made by python -m pacs_database.snapshots {owner} {package}\n"
    return f"{_REVISION}{revision}\n{made}" + "".join(map(_written, statements))


def _written(statement: str) -> str:
    lines = (line.rstrip().replace("\t", "    ") for line in statement.splitlines())
    return "\n".join(lines) + _END


async def _main(*arguments: str) -> None:
    owner, package = arguments
    from importlib import import_module

    from pacs_database.testing import open_database

    with tempfile.TemporaryDirectory() as directory:
        async with open_database(Path(directory)) as database, database.begin() as connection:
            content = await connection.run_sync(make, owner, package)
    path = Path(str(import_module(package).__file__)).with_name(SNAPSHOT)
    path.write_text(content, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    anyio.run(_main, *sys.argv[1:])
