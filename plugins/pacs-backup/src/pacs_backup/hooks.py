"""The hook that this plugin publishes."""

from collections.abc import Sequence

from pacs_backup.api import PostgresqlDatabase
from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec


@hookspec
def pacs_postgresql_databases(setup: Setup) -> Sequence[PostgresqlDatabase]:
    """Return the schemas in PostgreSQL in which this plugin has state, under this configuration.

    Called when a backup is created, which dumps them before it copies objects, and when one is
    restored. Return none for what is in a file of the data directory: files are backed up as they
    are. A plugin that raises has no part in the backup, which fails then.

    Example
    -------
    ::

        @hookimpl(optionalhook=True)
        def pacs_postgresql_databases(setup: Setup) -> list[PostgresqlDatabase]:
            return [PostgresqlDatabase("acme", "postgresql://acme@db/acme", schema="acme")]
    """
    raise NotImplementedError
