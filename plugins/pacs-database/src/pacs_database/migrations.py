"""Migrations of plugins: Alembic, without any file beside the package of revisions.

Each plugin has a line of revisions, and a table that says where it is. SQLite's transaction, begun
as a writer, keeps two processes from migrating at once; on PostgreSQL an advisory lock does.
"""

import logging
from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from pacs_database.interface import MigrationError

logger = logging.getLogger(__name__)


def migrate(connection: Connection, owner: str, package: str) -> None:
    """Run the revisions that are missing, in the transaction of a connection.

    Raises
    ------
    MigrationError
    """
    if not owner.isidentifier():
        raise MigrationError(f"{owner!r} cannot own tables: use letters, digits and _ only")
    if connection.dialect.name == "postgresql":
        key = crc32(f"pacs-database {owner}".encode())
        connection.execute(select(func.pg_advisory_xact_lock(key)))
    folder = str(Path(str(import_module(package).__file__)).parent)
    script = ScriptDirectory(folder, version_locations=[folder])

    def missing(revision: Any, _context: MigrationContext) -> list[MigrationStep]:
        # What Alembic's own cookbook uses, for want of a public name.
        return list(script._upgrade_revs("head", revision))

    options = {"version_table": f"{owner}_revisions", "fn": missing}
    context = MigrationContext.configure(connection, opts=options)
    before = context.get_current_revision()
    try:
        with Operations.context(context):
            context.run_migrations()
    except CommandError as error:
        raise MigrationError(
            f"the tables of {owner} are at revision {context.get_current_revision()}, which this "
            f"version of the plugin does not know ({error}): install the newer one again"
        ) from error
    except Exception as error:
        raise MigrationError(f"the tables of {owner} cannot be migrated: {error}") from error
    if (now := context.get_current_revision()) != before:
        logger.info("tables of %s: revision %s is now %s", owner, before or "none", now)
