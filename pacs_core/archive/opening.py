"""Objects of instances, opened as they are handed out: checked, and corrected."""

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import field, frozen

from pacs_core.archive.corrected_reader import Overlay, correct_reader
from pacs_core.archive.corrections import Corrections, overlay
from pacs_core.archive.verified_reads import ReadChecks
from pacs_core.contracts import (
    InstanceNotFoundError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    StoredInstance,
)
from pacs_core.contracts.object_store import with_beginning

# Theory of operation
#
# Whatever leaves the archive is opened here, so that two rules hold for all of it: damaged bytes
# are not handed out, and corrections are. The check comes first, since the digest is that of the
# bytes as they were stored; corrections are laid over a reader that was found sound.
#
# How much is checked depends on how much is read. Who opens an object gets all of it, and the
# configuration says whether that is held against the digest before. Who reads ranges of it, as of
# headers and single frames, does so in order not to read all, and gets the check of the size only.
#
# Most instances have no corrections. Those that have name them by number (`StoredInstance`), and
# the log is read again only if a number is not known: another process has made that correction.


@frozen
class InstanceOpener:
    """Opens the objects of instances.

    Attributes
    ----------
    store : ObjectStore
    corrections : Corrections
    checks : ReadChecks
    ae_title : str
        Who corrects, for Original Attributes Sequence (0400,0561).
    original_attributes : bool
        Whether what was corrected says so there.
    """

    store: ObjectStore
    corrections: Corrections
    checks: ReadChecks
    ae_title: str
    original_attributes: bool = field(kw_only=True)

    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Open an object, see :meth:`Archive.open`."""
        with _translated_errors(instance):
            reader = await self.store.open(instance.key)
        reader = await self.checks.check(instance, reader)
        return await self._correct(instance, reader) if instance.corrections else reader

    async def open_and_read(
        self, instance: StoredInstance, offset: int, length: int
    ) -> tuple[ObjectReader, bytes]:
        """Open an object, and read what is at an offset, in one step."""
        with _translated_errors(instance):
            reader, head = await self.store.open_and_read(instance.key, offset, length)
        reader = await self.checks.check(instance, reader, offset, head)
        if instance.corrections:
            return await with_beginning(await self._correct(instance, reader), offset, length)
        return reader, head

    async def open_ranges(self, instance: StoredInstance) -> ObjectReader:
        """Open an object of which only parts are read; of the checks there is only the size."""
        with _translated_errors(instance):
            reader = await self.store.open(instance.key)
        reader = await self.checks.check_size(instance, reader)
        return await self._correct(instance, reader) if instance.corrections else reader

    async def open_ranges_and_read(
        self, instance: StoredInstance, offset: int, length: int
    ) -> tuple[ObjectReader, bytes]:
        """Open it so, and read what is at an offset of the dataset, in one step."""
        if not length:
            return await self.open_ranges(instance), b""
        if instance.corrections:
            reader = await self.open_ranges(instance)
            return await with_beginning(reader, instance.dataset_offset + offset, length)
        with _translated_errors(instance):
            start = instance.dataset_offset + offset
            reader, held = await self.store.open_and_read(instance.key, start, length)
        return await self.checks.check_size(instance, reader), held

    async def _correct(self, instance: StoredInstance, reader: ObjectReader) -> ObjectReader:
        """Return what corrections make of an open object: what every door gets of it."""
        if not self.corrections.knows(instance.corrections):
            await self.corrections.refresh()
        entries = self.corrections.of(instance.corrections)
        changes, modification = overlay(entries, self.ae_title)
        if not self.original_attributes:
            modification = None
        return await correct_reader(reader, instance, Overlay(changes, modification))


@contextmanager
def _translated_errors(instance: StoredInstance) -> Iterator[None]:
    try:
        yield
    except ObjectNotFoundError as error:
        uid = instance.identity.sop_instance_uid
        raise InstanceNotFoundError(f"the object of instance {uid} is gone: {error}") from error
