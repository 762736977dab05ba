"""The contract, with nameless files and with named ones, and with another layout."""

import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import ObjectStore
from pacs_core.testing.object_store_contract import ObjectStoreContract


@contextmanager
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond half a mebibyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FilesystemContract(ObjectStoreContract):
    def without_room(self, directory: Path) -> AbstractContextManager[None]:
        return small_files()


class TestNameless(FilesystemContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects")


class TestNamed(FilesystemContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects", nameless=False)


class TestHashedLayout(FilesystemContract):
    def make_store(self, directory: Path) -> ObjectStore:
        layout = "{study_hash:2}/{instance_hash:3}/{study}/series-{series}/{instance}"
        return FilesystemStore(directory / "objects", layout)


class TestFlatLayout(FilesystemContract):
    def make_store(self, directory: Path) -> ObjectStore:
        return FilesystemStore(directory / "objects", "{instance}.dcm")
