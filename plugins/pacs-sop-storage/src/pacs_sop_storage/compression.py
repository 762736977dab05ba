"""Compression on ingest: what comes uncompressed is stored compressed, without loss."""

import logging
from collections.abc import AsyncIterable

from anyio.lowlevel import checkpoint
from attrs import evolve

from pacs_core.api.conversion import Spool, scanned_image
from pacs_core.api.images import IMAGE_TAGS
from pacs_core.api.streams import begin_iteration
from pacs_core.contracts import (
    NO_IMAGE,
    Action,
    Archive,
    AuditEvent,
    AuditKind,
    AuditTrail,
    FrameFormat,
    IngestResult,
    Origin,
    Outcome,
    Transcoder,
    TranscodingError,
    VerificationError,
)
from pacs_core.dataset import HeaderScanner, MalformedDataset, encoding_of

# Theory of operation
#
# The conversion must not begin to be stored before it is known to succeed, and what came must be at
# hand if it does not. So all of it is spooled first, and scanned while it arrives: a dataset that
# is odd, malformed or no image that can be converted goes to the archive untouched, which then
# judges it as if nobody stood before it.
#
# The result is verified, frame by frame, before the transcoder hands out any of it. A frame that
# does not come back as it was raises `VerificationError`. That is audited, as it means that a codec
# is wrong, and the original is stored. Other failures of the conversion are only logged: nothing
# was lost, only room.
#
# A failure of the archive is not a failure of the conversion. It passes through, and nothing is
# tried again.

logger = logging.getLogger(__name__)

_SLICE = 4096


class Compression:
    """Stands between the Storage provider and the archive.

    A dataset is kept in memory, or in a temporary file, until it is stored: if anything fails in
    its conversion, it is stored as it came. What is stored in its place is the only copy, so it
    is always verified that nothing was lost, before anything is stored.

    Parameters
    ----------
    transcoder : Transcoder
    audit : AuditTrail
    target : str
        Transfer syntax UID.
    """

    def __init__(self, transcoder: Transcoder, audit: AuditTrail, target: str) -> None:
        self._transcoder = transcoder
        self._audit = audit
        self._target = target

    async def ingest(
        self,
        archive: Archive,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Have the archive ingest a dataset, compressed if that is possible."""

        async def ingest(data: AsyncIterable[bytes | memoryview], syntax: str) -> IngestResult:
            return await archive.ingest(
                data,
                transfer_syntax_uid=syntax,
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                origin=origin,
            )

        plan = self._transcoder.plan(transfer_syntax_uid, (self._target,))
        compressed_already = encoding_of(transfer_syntax_uid).encapsulated
        if compressed_already or plan.action is not Action.TRANSCODE:
            return await ingest(dataset, transfer_syntax_uid)
        spool = Spool()
        try:
            image = await _fill_spool(spool, dataset, transfer_syntax_uid)
            if image != NO_IMAGE:
                plan = self._transcoder.plan(transfer_syntax_uid, (self._target,), image=image)
                plan = evolve(plan, verify=plan.action is Action.TRANSCODE)
                try:
                    async with begin_iteration(
                        self._transcoder.transcode(plan, spool.chunks())
                    ) as converted:
                        return await ingest(converted, plan.target)
                except TranscodingError as error:
                    logger.warning("%s is stored as it came: %s", sop_instance_uid, error)
                    if isinstance(error, VerificationError):
                        await self._record(sop_class_uid, sop_instance_uid, origin, error)
            return await ingest(spool.chunks(), transfer_syntax_uid)
        finally:
            spool.close()

    async def _record(
        self, sop_class_uid: str, sop_instance_uid: str, origin: Origin, error: VerificationError
    ) -> None:
        details = {
            "sop_class_uid": sop_class_uid,
            "sop_instance_uid": sop_instance_uid,
            "target_transfer_syntax_uid": self._target,
            "reason": str(error),
        }
        await self._audit.record(
            AuditEvent(AuditKind.COMPRESSION_REJECTED, Outcome.WARNING, origin, details)
        )


async def _fill_spool(
    spool: Spool, dataset: AsyncIterable[bytes | memoryview], transfer_syntax_uid: str
) -> FrameFormat | None:
    """Read a dataset into the spool, and return the image that it is, as `image_in` does.

    What is odd or malformed is none: a conversion would leave out what is odd in it, and the
    archive shall say so of what came.
    """
    scanner = HeaderScanner(transfer_syntax_uid, IMAGE_TAGS, thorough=True)
    malformed = False
    async for chunk in dataset:
        data = bytes(chunk)
        await spool.add(data)
        if not malformed:
            try:
                await _scan(scanner, data)
            except MalformedDataset:
                malformed = True
    if malformed or scanner.oddities.notes or scanner.oddities.obstacle:
        return NO_IMAGE
    return scanned_image(scanner)


async def _scan(scanner: HeaderScanner, data: bytes) -> None:
    """Scan a chunk; one that may inflate a thousandfold in steps, between which others run."""
    step = _SLICE if scanner.inflates else max(len(data), 1)
    for start in range(0, len(data), step):
        scanner.feed(data[start : start + step])
        if scanner.inflates:
            await checkpoint()
