"""The archive of a node that has none, such as a bare echo responder."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import NoReturn

from pacs_core.contracts import (
    Archive,
    Correction,
    CorrectionReport,
    DeletionReport,
    EntityPath,
    Frame,
    IngestResult,
    InstanceHeader,
    InstancePath,
    Level,
    ObjectReader,
    Origin,
    Query,
    StoredInstance,
)
from pacs_core.dataset import Attributes, BulkData, Changes, ReadLimits


def _refuse() -> NoReturn:
    raise LookupError(
        "this node has no archive: install an object store and an index "
        "(pip install pacs-store-filesystem pacs-index-sqlite) "
        'and choose them with [archive] store = "..." and index = "..."'
    )


class NoArchive(Archive):
    """Raises :class:`LookupError` whatever it is asked, and says what to install."""

    async def ingest(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Refuse."""
        _refuse()

    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Refuse."""
        _refuse()

    async def count(self, query: Query) -> int:
        """Refuse."""
        _refuse()

    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Refuse."""
        _refuse()

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Refuse."""
        _refuse()

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Refuse."""
        _refuse()

    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Refuse."""
        _refuse()

    async def header(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Refuse."""
        _refuse()

    def metadata(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes]]:
        """Refuse."""
        _refuse()

    def bulk_data(self, instance: StoredInstance, value: BulkData) -> AsyncIterator[bytes]:
        """Refuse."""
        _refuse()

    def frames(self, instance: StoredInstance, numbers: Sequence[int]) -> AsyncIterator[Frame]:
        """Refuse."""
        _refuse()

    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Refuse."""
        _refuse()

    async def delete(
        self, path: InstancePath, origin: Origin, *, override: str = ""
    ) -> StoredInstance:
        """Refuse."""
        _refuse()

    async def delete_all(
        self, query: Query, origin: Origin, *, override: str = ""
    ) -> DeletionReport:
        """Refuse."""
        _refuse()

    async def update(
        self,
        entity: EntityPath,
        changes: Changes,
        origin: Origin,
        *,
        reason: str = "CORRECT",
        comment: str = "",
        in_advance: bool = False,
    ) -> CorrectionReport:
        """Refuse."""
        _refuse()

    async def revert(self, number: int, origin: Origin, *, comment: str = "") -> CorrectionReport:
        """Refuse."""
        _refuse()

    def corrections(self, entity: EntityPath | None = None) -> AsyncIterator[Correction]:
        """Refuse."""
        _refuse()
