"""Versions of the tables that plugins keep, read without changing anything.

A plugin's revisions are modules of a package ``revisions`` beside its own, and their names begin
with the owner of the tables: ``worklist_2``. So tables tell whose they are, and what is installed
tells what they could become.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio
from sqlalchemy import URL, Connection, create_engine, inspect

from pacs_core.contracts import DataState, DataVersion
from pacs_database.migrations import current_revisions, head_revisions, known_revisions

_SUFFIX: Final = "_revisions"


def find_versions(url: URL) -> list[DataVersion]:
    """Return the versions of all tables that have some.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError, OSError
        The database cannot be read.
    """
    where = url.set(password=None).render_as_string()
    if url.get_backend_name() == "sqlite":
        where = str(url.database)
        if not Path(where).exists():
            return [DataVersion(f"database {where}", DataState.ABSENT)]
        # What is opened for reading only is not made.
        url = url.set(
            database=f"file:{Path(where).absolute()}", query={"mode": "ro", "uri": "true"}
        )
        found = _find_in_file(url)
    else:
        found = anyio.run(_find_on_server, url)
    folders = dict(_find_folders())
    return [
        _judge(f"tables of {owner} in {where}", found.get(owner, frozenset()), folders.get(owner))
        for owner in sorted(found.keys() | folders.keys())
    ]


def _judge(what: str, found: frozenset[str], folder: Path | None) -> DataVersion:
    shown = ", ".join(sorted(found))
    if folder is None:
        return DataVersion(what, DataState.UNUSED, shown)
    heads = head_revisions(folder)
    if not found:
        state = DataState.ABSENT
    elif found == heads:
        state = DataState.CURRENT
    else:
        state = DataState.OLDER if found <= known_revisions(folder) else DataState.NEWER
    return DataVersion(what, state, shown, ", ".join(sorted(heads)))


def _find_in_file(url: URL) -> dict[str, frozenset[str]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return _read(connection)
    finally:
        engine.dispose()


async def _find_on_server(url: URL) -> dict[str, frozenset[str]]:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read)
    finally:
        await engine.dispose()


def _read(connection: Connection) -> dict[str, frozenset[str]]:
    tables = [name for name in inspect(connection).get_table_names() if name.endswith(_SUFFIX)]
    return {name.removesuffix(_SUFFIX): current_revisions(connection, name) for name in tables}


def _find_folders() -> Iterator[tuple[str, Path]]:
    """Yield the owners of tables of what is installed, with the folders of their revisions."""
    for point in entry_points(group="pacs_core.plugins"):
        # A package is looked for as a folder: to find a module in it would import it.
        spec = find_spec(point.module.partition(".")[0])
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            folder = Path(place) / "revisions"
            for head in head_revisions(folder) if folder.is_dir() else ():
                yield head.rpartition("_")[0], folder
