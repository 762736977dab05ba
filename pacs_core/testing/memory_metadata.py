"""Metadata kept in memory: the contract in its simplest form, for indexes in memory."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from anyio.lowlevel import checkpoint
from attrs import define, field

from pacs_core.contracts import (
    Index,
    InstancePath,
    InstanceRecord,
    LackingMetadata,
    PreparedMetadata,
    Query,
    StoredInstance,
)


@define
class KeptMetadata:
    """What an index in memory keeps, in whichever form.

    Parameters
    ----------
    records : callable
        Returns the records of the index by path.
    """

    records: Callable[[], Mapping[InstancePath, InstanceRecord]]
    form: str = ""
    revision: int = 0
    content: dict[InstancePath, bytes | None] = field(factory=dict)

    def forget(self, path: InstancePath) -> None:
        """Forget the metadata of an instance; to be called with its removal."""
        self.revision += 1
        self.content.pop(path, None)

    def clear(self) -> None:
        """Forget everything."""
        self.revision += 1
        self.content.clear()


@define
class MemoryMetadata(PreparedMetadata):
    """The metadata that an index in memory keeps in one form."""

    _index: Index
    _kept: KeptMetadata
    _form: str

    @property
    def _content(self) -> Mapping[InstancePath, bytes | None]:
        return self._kept.content if self._kept.form == self._form else {}

    async def find(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        """Iterate over instances and what is kept."""
        async for instance in self._index.instances(query):
            yield instance, self._content.get(instance.identity.path)

    async def lacking(self, limit: int) -> LackingMetadata:
        """Return instances for which nothing is kept."""
        await checkpoint()
        records = self._kept.records()
        found = [record.instance for path, record in records.items() if path not in self._content]
        return LackingMetadata(found[:limit], self._kept.revision)

    async def revision(self) -> int:
        """Return the number of changes."""
        await checkpoint()
        return self._kept.revision

    async def keep(
        self, metadata: Sequence[tuple[StoredInstance, bytes | None]], revision: int
    ) -> bool:
        """Keep metadata if nothing was forgotten meanwhile."""
        await checkpoint()
        kept = self._kept
        if revision != kept.revision:
            return False
        if kept.form != self._form:
            kept.content.clear()
            kept.form = self._form
        for instance, content in metadata:
            record = kept.records().get(instance.identity.path)
            if record is not None and record.instance == instance:
                kept.content[instance.identity.path] = content
        return True

    async def forget(self, paths: Sequence[InstancePath]) -> None:
        """Forget the metadata of instances."""
        await checkpoint()
        for path in paths:
            self._kept.forget(path)
