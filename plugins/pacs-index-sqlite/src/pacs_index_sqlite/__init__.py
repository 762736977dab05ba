"""Index of pacs-core in an embedded SQLite database, with group commit."""

from pathlib import Path
from typing import TYPE_CHECKING

from pacs_core.contracts import DataVersion, IndexDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_index_sqlite.config import SqliteIndexConfig

if TYPE_CHECKING:
    from pacs_index_sqlite.index import SqliteIndex

__all__ = ["SqliteIndexConfig", "create"]

PACS_API_VERSION = (1, 0)


def create(setup: Setup) -> "SqliteIndex":
    """Return the index that the configuration describes; nothing is opened yet."""
    from pacs_index_sqlite.index import SqliteIndex

    return SqliteIndex(_path(setup), setup.config(SqliteIndexConfig))


def _path(setup: Setup) -> Path:
    config = setup.config(SqliteIndexConfig)
    return config.path or setup.settings.data_directory / "index.sqlite"


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.index-sqlite]``."""
    return SqliteIndexConfig


@hookimpl
def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
    """Register the index ``sqlite``."""
    return [IndexDescriptor("sqlite", create)]


@hookimpl
def pacs_data_versions(setup: Setup) -> list[DataVersion]:
    """Return the version of the index's file."""
    from pacs_index_sqlite.schema import STEPS, version_of

    path = _path(setup)
    return [DataVersion.of_number(f"index {path}", version_of(path), len(STEPS))]
