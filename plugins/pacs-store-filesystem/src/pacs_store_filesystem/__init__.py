"""Object store of pacs-core on a local file system: atomic, fsynced, one file per instance."""

from pacs_core.contracts import ObjectStore, ObjectStoreDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_store_filesystem.config import FilesystemConfig

__all__ = ["FilesystemConfig", "pacs_config", "pacs_object_stores"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.store-filesystem]``."""
    return FilesystemConfig


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Return the store ``filesystem``."""
    return [ObjectStoreDescriptor("filesystem", _create, FilesystemConfig)]


def _create(setup: Setup) -> ObjectStore:
    from pacs_store_filesystem.store import FilesystemStore

    config = setup.config(FilesystemConfig)
    default = setup.directory if setup.store_name else setup.settings.data_directory / "objects"
    root = config.root or default
    return FilesystemStore(root, config.layout, threads=config.threads)
