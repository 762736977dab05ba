"""Index of pacs-core in PostgreSQL, for several nodes with one index."""

from typing import TYPE_CHECKING

from pacs_core.contracts import DataVersion, IndexDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_index_postgresql.config import PostgresqlIndexConfig

if TYPE_CHECKING:
    from pacs_backup.api import PostgresqlDatabase

    from pacs_index_postgresql.index import PostgresqlIndex

__all__ = ["PostgresqlIndexConfig", "create"]

PACS_API_VERSION = (1, 0)


def create(setup: Setup) -> "PostgresqlIndex":
    """Return the index that the configuration describes; nothing is connected yet."""
    from pacs_index_postgresql.index import PostgresqlIndex

    return PostgresqlIndex(setup.config(PostgresqlIndexConfig))


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.index-postgresql]``."""
    return PostgresqlIndexConfig


@hookimpl
def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
    """Register the index ``postgresql``."""
    return [IndexDescriptor("postgresql", create)]


@hookimpl(optionalhook=True)
def pacs_postgresql_databases(setup: Setup) -> "list[PostgresqlDatabase]":
    """Return the schema of the index, for backups; without pacs-backup nobody asks."""
    config = setup.config(PostgresqlIndexConfig)
    if config.dsn is None:
        return []
    from pacs_backup.api import PostgresqlDatabase

    return [PostgresqlDatabase("index", config.dsn.reveal(), config.schema, is_derived=True)]


@hookimpl
def pacs_data_versions(setup: Setup) -> list[DataVersion]:
    """Return the version of the index's schema, if this index is configured."""
    config = setup.config(PostgresqlIndexConfig)
    if config.dsn is None:
        return []
    import anyio

    from pacs_index_postgresql.schema import STEPS
    from pacs_index_postgresql.server import find_version

    where, found = anyio.run(find_version, config)
    return [DataVersion.of_number(f"index {where}", found, len(STEPS))]
