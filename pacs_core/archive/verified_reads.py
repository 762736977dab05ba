"""Reads of stored objects, checked against the digest of what was stored.

What is not large is checked whole before any of it is handed out, so that a damaged instance fails
by itself: nothing of it was sent. For large ones that would be a long wait before the first byte;
they are checked while they stream, and their last part is withheld. What is read out of order is
handed out after all of it has been checked.

Headers and single frames (`Archive.header`, `Archive.frames`) are not checked so: that would take
reading the whole object for one frame. Of these only the size of the object is checked; what is
wrong within is found by whatever reads it whole, and by `pacs index verify`.
"""

import random
from typing import Final, NoReturn

from anyio import CancelScope
from attrs import frozen

from pacs_core.archive.damage import OTHER_BYTES, report_damage
from pacs_core.archive.fixity import Digest, is_decay
from pacs_core.archive.settings import VerifyReads
from pacs_core.contracts import (
    CHUNK_SIZE,
    AuditTrail,
    DamagedObjectError,
    ObjectReader,
    Origin,
    StoredInstance,
)

# Theory of operation
#
# The digest covers the whole dataset and is known to match only at the last byte. Whoever hands out
# bytes before that has handed out something unproven, and C-STORE cannot take it back. So small
# objects are read twice: once to the end for the digest, once for the reader, the second time from
# the cache of the operating system. Of large ones the last part is withheld until the digest is
# right; a receiver never gets a whole damaged dataset, and the sub-operation fails.
#
# A read beyond what was checked makes the check run to the end first, whatever that costs: checking
# cannot begin in the middle.

ORIGIN: Final = Origin("archive")
AHEAD: Final = 256 << 20
"""Bytes of an object up to which it is checked before any of it is handed out."""

SAMPLE: Final = 16
"""One read of so many is checked, on average, where reads are sampled."""


@frozen
class ReadChecks:
    """Checks what is opened, as configured, and reports what is damaged.

    Attributes
    ----------
    policy : VerifyReads
    audit : AuditTrail
    ahead : int
        See :data:`AHEAD`.
    """

    policy: VerifyReads
    audit: AuditTrail
    ahead: int = AHEAD

    def are_due(self) -> bool:
        """Tell whether the next read is to be checked."""
        if self.policy is VerifyReads.SAMPLED:
            return random.randrange(SAMPLE) == 0  # noqa: S311 - nobody gains by a guess
        return self.policy is VerifyReads.ALWAYS

    async def check(
        self, instance: StoredInstance, reader: ObjectReader, offset: int = 0, head: bytes = b""
    ) -> ObjectReader:
        """Return a reader that hands out nothing but what was stored.

        Parameters
        ----------
        instance : StoredInstance
        reader : ObjectReader
            Of its object; closed if that is damaged.
        offset, head : int and bytes
            What has been read of it, and where that begins.

        Raises
        ------
        DamagedObjectError
            The object is not what was stored.
        """
        try:
            return await self._check(instance, reader, offset, head)
        except BaseException:
            with CancelScope(shield=True):
                await reader.close()
            raise

    async def check_size(self, instance: StoredInstance, reader: ObjectReader) -> ObjectReader:
        """Return the reader of an object of which only ranges are read, if it has the right size.

        Raises
        ------
        DamagedObjectError
            It has another; the reader is closed.
        """
        if reader.size != instance.size:
            try:
                await self._fail_size(instance, reader)
            finally:
                with CancelScope(shield=True):
                    await reader.close()
        return reader

    async def _fail_size(self, instance: StoredInstance, reader: ObjectReader) -> NoReturn:
        verified = VerifyingReader(self.audit, instance, reader)
        await verified.fail(f"it has {reader.size} of {instance.size} bytes")

    async def _check(
        self, instance: StoredInstance, reader: ObjectReader, offset: int, head: bytes
    ) -> ObjectReader:
        verified = VerifyingReader(self.audit, instance, reader)
        if reader.size != instance.size:
            await self._fail_size(instance, reader)
        if not instance.digest or not self.are_due():
            return reader
        await verified.pass_over(offset, head)
        if instance.size > self.ahead:
            return verified
        await verified.run_to_end()
        return reader


class VerifyingReader(ObjectReader):
    """An open object that is checked while it is read.

    Parameters
    ----------
    audit : AuditTrail
        Told of damage.
    instance : StoredInstance
    reader : ObjectReader
    """

    def __init__(self, audit: AuditTrail, instance: StoredInstance, reader: ObjectReader) -> None:
        self.size = reader.size
        self._audit = audit
        self._instance = instance
        self._reader = reader
        self._digest = Digest()
        self._checked = instance.dataset_offset
        self._failure: DamagedObjectError | None = None

    async def read(self, offset: int, length: int) -> bytes:
        """See base.

        Raises
        ------
        DamagedObjectError
            The object is not what was stored; nothing of it is returned.
        """
        if offset > self._checked:
            await self.run_to_end()
        data = await self._read(offset, length)
        await self.pass_over(offset, data)
        return data

    async def _read(self, offset: int, length: int) -> bytes:
        try:
            return await self._reader.read(offset, length)
        except OSError as error:
            if is_decay(error):
                await self.fail(f"it cannot be read: {error.strerror}")
            raise

    async def pass_over(self, offset: int, data: bytes) -> None:
        """Check what has been read, as far as it has not been checked, and at the end all of it.

        Raises
        ------
        DamagedObjectError
            The object is not what was stored.
        """
        # Another read, at the same time, may have found the damage.
        if self._failure is not None:
            raise self._failure
        if unchecked := memoryview(data)[self._checked - offset :]:
            self._digest.update(unchecked)
            self._checked += len(unchecked)
            if self._checked == self.size and self._digest.digest() != self._instance.digest:
                await self.fail(OTHER_BYTES)

    async def run_to_end(self) -> None:
        """Check what has not been read yet.

        Raises
        ------
        DamagedObjectError
            The object is not what was stored.
        """
        position = self._checked
        while position < self.size:
            chunk = await self._read(position, CHUNK_SIZE)
            if not chunk:
                await self.fail(f"it ends at {position} of {self.size} bytes")
            await self.pass_over(position, chunk)
            position += len(chunk)

    async def fail(self, reason: str) -> NoReturn:
        """Report that the object is damaged; raises :class:`DamagedObjectError`."""
        self._failure = DamagedObjectError(f"the object is damaged: {reason}")
        await report_damage(self._audit, self._instance, reason, ORIGIN)
        raise self._failure

    async def close(self) -> None:
        """See base."""
        await self._reader.close()
