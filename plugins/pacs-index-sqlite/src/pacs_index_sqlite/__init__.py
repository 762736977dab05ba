"""Index of pacs-core in an embedded SQLite database, with group commit."""

from typing import TYPE_CHECKING

from pacs_core.contracts import IndexDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_index_sqlite.config import SqliteIndexConfig

if TYPE_CHECKING:
    from pacs_index_sqlite.index import SqliteIndex

__all__ = ["SqliteIndexConfig", "create"]

PACS_API_VERSION = (1, 0)


def create(setup: Setup) -> "SqliteIndex":
    """Return the index that the configuration describes; nothing is opened yet."""
    from pacs_index_sqlite.index import SqliteIndex

    config = setup.config(SqliteIndexConfig)
    return SqliteIndex(config.path or setup.settings.data_directory / "index.sqlite", config)


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.index-sqlite]``."""
    return SqliteIndexConfig


@hookimpl
def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
    """Register the index ``sqlite``."""
    return [IndexDescriptor("sqlite", create)]
