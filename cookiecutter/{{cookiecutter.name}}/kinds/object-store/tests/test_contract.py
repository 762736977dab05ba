"""The contract of object stores."""

from pathlib import Path

from pacs_core.contracts import ObjectStore
from pacs_core.testing.object_store_contract import ObjectStoreContract

from {{ cookiecutter.__package }} import DirectoryStore


class TestDirectoryStore(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return DirectoryStore(directory)
