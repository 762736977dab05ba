"""Schemas in PostgreSQL, dumped and restored by the programs that the server comes with.

``pg_dump`` sees a schema as it was at one moment, and keeps no writer waiting. The password goes
into the environment, since every user of a machine can read command lines; and nobody is asked for
one, since nobody may be there.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import anyio
from anyio.abc import Process
from attrs import frozen

from pacs_backup.api import PostgresqlDatabase
from pacs_backup.repository import BackupError
from pacs_core.contracts import Hooks

_SAID: Final = 2_000
"""Characters of what a program complained that are passed on."""


@frozen
class Schemas:
    """What of a database belongs to an archive, under one name.

    Attributes
    ----------
    database : PostgresqlDatabase
    others : tuple of str
        Schemas of the same database that have names of their own.
    """

    database: PostgresqlDatabase
    others: tuple[str, ...]

    @property
    def condition(self) -> str:
        """SQL about a column ``name``: whether a schema is one of these."""
        if self.database.schema:
            return f"name = {_literal(self.database.schema)}"
        passed = ", ".join(map(_literal, ("information_schema", *self.others)))
        return f"name NOT LIKE 'pg\\_%' AND name NOT IN ({passed})"

    async def dump(self) -> AsyncIterator[bytes]:
        """Yield a dump in the custom format of ``pg_dump``.

        Raises
        ------
        BackupError
            It is not installed, or fails.
        """
        arguments = ["--format=custom"]
        if self.database.schema:
            arguments.append(f"--schema={_identifier(self.database.schema)}")
        arguments += [f"--exclude-schema={_identifier(each)}" for each in self.others]
        async with await _start("pg_dump", self.database, arguments) as process:
            assert process.stdout is not None  # noqa: S101  it is a pipe
            async for chunk in process.stdout:
                yield chunk
            await _end("pg_dump", self.database, process)

    async def is_empty(self) -> bool:
        """Tell whether there is no table.

        Raises
        ------
        BackupError
            The server does not say.
        """
        found = "(SELECT schemaname AS name FROM pg_tables) AS found"
        query = f"SELECT count(*) FROM {found} WHERE {self.condition}"  # noqa: S608  quoted
        return await _psql(self.database, query) == "0"

    async def restore(self, chunks: AsyncIterator[bytes]) -> None:
        """Put a dump in the place of what there is, in one transaction: it is there whole or not.

        Raises
        ------
        BackupError
            A program is not installed, or fails.
        """
        found = "(SELECT nspname AS name FROM pg_namespace) AS found"
        query = f"SELECT name FROM {found} WHERE {self.condition}"  # noqa: S608  quoted
        for name in (await _psql(self.database, query)).splitlines():
            await _psql(self.database, f"DROP SCHEMA {_identifier(name)} CASCADE")
        if not self.database.schema:
            await _psql(self.database, "CREATE SCHEMA public")  # as in any new database
        arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        async with await _start("pg_restore", self.database, arguments) as process:
            assert process.stdin is not None  # noqa: S101  it is a pipe
            with suppress(anyio.BrokenResourceError):  # it has failed, and says why
                async for chunk in chunks:
                    await process.stdin.send(chunk)
                await process.stdin.aclose()
            await _end("pg_restore", self.database, process)


async def find_schemas(hooks: Hooks) -> dict[str, Schemas]:
    """Return what plugins have named, by their names.

    Raises
    ------
    BackupError
        A plugin returned something else, or two of them the same name, or a server is away.
    """
    found: dict[str, PostgresqlDatabase] = {}
    for contribution in hooks.call("pacs_postgresql_databases"):
        result = contribution.result
        for each in result if isinstance(result, Iterable) else (result,):
            if not isinstance(each, PostgresqlDatabase) or each.name in found:
                raise BackupError(
                    f"pacs_postgresql_databases of {contribution.source} returned {each!r}: it "
                    "has to be a PostgresqlDatabase with a name of its own"
                )
            found[each.name] = each
    # One server has many names; when it began is the same under all.
    place = {
        each.name: await _psql(each, "SELECT current_database(), pg_postmaster_start_time()")
        for each in found.values()
    }
    return {
        name: Schemas(
            each,
            tuple(
                other.schema
                for other in found.values()
                if not each.schema and other.schema and place[other.name] == place[name]
            ),
        )
        for name, each in found.items()
    }


async def _psql(database: PostgresqlDatabase, command: str) -> str:
    arguments = ["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", f"--command={command}"]
    arguments += ["--set=ON_ERROR_STOP=1"]
    async with await _start("psql", database, arguments) as process:
        assert process.stdout is not None  # noqa: S101  it is a pipe
        said = b"".join([chunk async for chunk in process.stdout])
        await _end("psql", database, process)
    return said.decode().strip()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _start(program: str, database: PostgresqlDatabase, arguments: list[str]) -> Process:
    path = shutil.which(program)
    if path is None:
        raise BackupError(
            f"{program} is not installed, and {database.name} is in PostgreSQL: install the "
            "server's client programs (Debian: postgresql-client)"
        )
    parts = urlsplit(database.url)
    password = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    user, _, host = parts.netloc.rpartition("@")
    named = f"{user.partition(':')[0]}@{host}" if user else host
    url = urlunsplit(parts._replace(scheme="postgresql", netloc=named))
    command = [path, "--no-password", f"--dbname={url}", *arguments]
    # What it complains of goes to a pipe that is read at the end only: it says little.
    return await anyio.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | password | {"PGCONNECT_TIMEOUT": "30"},
    )


async def _end(program: str, database: PostgresqlDatabase, process: Process) -> None:
    assert process.stderr is not None  # noqa: S101  it is a pipe
    said = b"".join([chunk async for chunk in process.stderr])
    if await process.wait():
        reason = " ".join(said.decode(errors="replace").split())[:_SAID]
        raise BackupError(f"{program} of {database.name} has failed: {reason}")
