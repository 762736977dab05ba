"""The contract, with nameless files and with named ones, and with another layout."""

from pathlib import Path

from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import ObjectStore
from pacs_core.testing.object_store_contract import ObjectStoreContract


class TestNameless(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects")


class TestNamed(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects", nameless=False)


class TestHashedLayout(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        layout = "{study_hash:2}/{instance_hash:3}/{study}/series-{series}/{instance}"
        return FilesystemStore(directory / "objects", layout)


class TestFlatLayout(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects", "{instance}.dcm")
