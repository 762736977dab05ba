"""Filters of ingest: what arrives is judged, and perhaps changed, before it is stored."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from datetime import datetime
from hashlib import blake2b
from time import time
from typing import Final

import anyio
from attrs import define, field, frozen

from pacs_core.archive.fixity import SET_ASIDE
from pacs_core.archive.held_stream import HeldStream, edit_stream
from pacs_core.archive.incoming_instance import Chunk, IncomingInstance, InstanceWriter
from pacs_core.archive.instance_reading import read_header
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.concurrency import is_failure
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditTrail,
    AuditValue,
    Divert,
    Edit,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    IngestFilterError,
    ObjectExistsError,
    ObjectNotFoundError,
    Origin,
    Outcome,
    Reject,
    RejectedInstanceError,
)
from pacs_core.contracts.ingest_filter import changed_tags
from pacs_core.dataset import (
    DatasetEditor,
    MalformedDataset,
    Modification,
    encoding_of,
    tag_of,
)

# Theory of operation
#
# What filters judge is the header, so the stream is read as far as Pixel Data and held until then.
# After a verdict to edit, the header goes through an editor, which passes on what is not changed
# byte for byte, and the next filter judges what comes out. When all have judged, the stream goes
# from its beginning through as many editors as there were edits, Pixel Data in chunks, and into the
# store. Digest, identity and index record are of what comes out of the last.
#
# What is sent again must become the same again, or it would be a conflict each time. So Attribute
# Modification DateTime (0400,0562) is that of what is held already, if it says that this node made
# it.
#
# What was received can be kept: it is written beside, on its way into the first editor, and named
# once the instance itself is stored. So a crash leaves what was made of it, or both, but never
# alone what no filter has touched, which a rebuild would serve. It has the rank of what is set
# aside. Where an edit has given the instance another identity it is not kept: a rebuild would find
# under the former one what a filter has taken away.

_log = logging.getLogger(__name__)

ORIGINAL_ATTRIBUTES: Final = tag_of("OriginalAttributesSequence")
_SYSTEM: Final = tag_of("ModifyingSystem")
_MODIFIED: Final = tag_of("AttributeModificationDateTime")
_NAME_LENGTH: Final = 16


async def _read(incoming: IncomingInstance) -> AsyncGenerator[Chunk, None]:
    while (chunk := await incoming.next()) is not None:
        yield chunk


@define
class _Received:
    """What came, as it is written beside while it is edited; nothing without a writer."""

    writer: InstanceWriter | None = None
    _name: "blake2b" = field(factory=lambda: blake2b(digest_size=_NAME_LENGTH), init=False)

    async def copy(self, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        """Pass on the dataset, and write it."""
        async for chunk in chunks:
            if self.writer is not None:
                self._name.update(chunk)
                await self.writer.write(chunk)
            yield chunk

    async def commit(self) -> None:
        """Name it; the same, sent again, meets its own name."""
        if self.writer is not None:
            try:
                await self.writer.commit(self._name.hexdigest(), SET_ASIDE)
            except ObjectExistsError:
                _log.debug("what was received is kept already")


@frozen
class Filtered:
    """What filters have made of an instance.

    Attributes
    ----------
    chunks : async iterator of bytes-like
        The dataset.
    header : IncomingHeader
    changed : tuple of int
        The tags that were set or removed.
    diverted : Divert or None
        Who takes it instead of the archive.
    """

    chunks: AsyncIterator[Chunk]
    header: IncomingHeader
    changed: tuple[int, ...]
    diverted: Divert | None = None


class IngestFilters:
    """The ingest filters of a node, in their order.

    Parameters
    ----------
    audit : AuditTrail
        Told of whatever was not accepted as it came.
    ae_title : str
        Modifying System (0400,0563).
    keep_received : bool
        Whether to keep what was received, where that was changed.
    timeout : float
        Seconds that a filter has.
    expected : bool
        Whether there are some that have not started: until :meth:`install`, nothing comes in.
    """

    def __init__(
        self,
        audit: AuditTrail,
        *,
        ae_title: str = "",
        keep_received: bool = False,
        timeout: float = 30.0,
        expected: bool = False,
    ) -> None:
        self._audit = audit
        self._ae_title = ae_title
        self._keep_received = keep_received
        self._timeout = timeout
        self._filters: Mapping[str, IngestFilter] = {}
        self._expected = expected
        self.is_open = not expected

    def install(self, filters: Mapping[str, IngestFilter]) -> None:
        """Ask these from now on, in this order."""
        self._filters = filters
        self._expected = False
        self.is_open = not filters

    @asynccontextmanager
    async def apply(
        self,
        incoming: IncomingInstance,
        storage: ArchiveStorage,
        character_set: tuple[str, ...],
    ) -> AsyncIterator[Filtered]:
        """Give an instance whose header agrees with what was announced to the filters.

        The block stores what comes of it; if it fails, what was received is not kept.

        Raises
        ------
        RejectedInstanceError
            A filter rejected it.
        IngestFilterError
            A filter failed.
        AuditFailedError
            A verdict could not be recorded.
        """
        if self._expected:
            raise IngestFilterError("the ingest filters have not started yet")
        received, uid = _Received(), incoming.transfer_syntax_uid
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            source = HeldStream(await enter(aclosing(_read(incoming))), uid)
            stack.enter_context(closing(source))
            header, edits, diverted = await self._judge(source, incoming, character_set)
            chunks = await enter(aclosing(source.chunks()))
            is_kept = self._keep_received and not diverted
            if is_kept and edits and header.identity.path == incoming.identity.path:
                durability = storage.behind.durable_at_least
                received.writer = storage.writer(incoming, durability, header.identity)
                await enter(received.writer)
                chunks = await enter(aclosing(received.copy(chunks)))
            moment = await self._moment(edits, storage, header)
            for edit in edits:
                chunks = await enter(aclosing(self._edit(chunks, edit, incoming, moment)))
            yield Filtered(chunks, header, changed_tags(edits), diverted)
            await received.commit()

    async def _judge(
        self, source: HeldStream, incoming: IncomingInstance, character_set: tuple[str, ...]
    ) -> tuple[IncomingHeader, list[Edit], Divert | None]:
        """Return what filters make of the header, the edits that do so, and who takes it away."""
        origin, edits, moment = incoming.origin, list[Edit](), time()
        stream, header = source, await source.read_header(character_set)
        async with AsyncExitStack() as stack:
            for name, each in self._filters.items():
                verdict = await self._ask(name, each, header, origin)
                if isinstance(verdict, Divert):
                    return header, edits, verdict
                if not isinstance(verdict, Edit):
                    continue
                chunks = await stack.enter_async_context(aclosing(stream.chunks(again=True)))
                edited = self._edit(chunks, verdict, incoming, moment)
                await stack.enter_async_context(aclosing(edited))
                stream, former = HeldStream(edited, incoming.transfer_syntax_uid), header
                stack.enter_context(closing(stream))
                header = await stream.read_header(character_set)
                edits.append(verdict)
                await self._record_edit(name, verdict, former, header, origin)
        return header, edits, None

    def _edit(
        self, chunks: AsyncIterator[Chunk], edit: Edit, incoming: IncomingInstance, moment: float
    ) -> AsyncGenerator[Chunk, None]:
        uid, modification = incoming.transfer_syntax_uid, None
        if edit.reason:
            source = incoming.origin.calling_ae_title or ""
            modification = Modification(moment, self._ae_title, source, edit.reason)
        editor = DatasetEditor(uid, edit.changes, modification)
        return edit_stream(chunks, editor, deflated=encoding_of(uid).deflated)

    async def _moment(
        self, edits: Sequence[Edit], storage: ArchiveStorage, header: IncomingHeader
    ) -> float:
        """Return when the edits were made: if it was sent before, then, so that it is the same."""
        existing = None
        if any(edit.reason for edit in edits):
            existing = await storage.index.locate(header.identity.path)
        if existing is None:
            return time()
        try:
            async with await storage.store.open(existing.key) as reader:
                found = await read_header(reader, existing, until_pixel_data=True)
            last = found.elements.elements[ORIGINAL_ATTRIBUTES].items[-1]
            if last.texts(_SYSTEM) == (self._ae_title,):
                text = last.texts(_MODIFIED)[0]
                return datetime.strptime(text, "%Y%m%d%H%M%S.%f%z").timestamp()
        except (LookupError, ValueError, OSError, ObjectNotFoundError, MalformedDataset) as error:
            _log.debug("when %s was edited before is not known: %s", existing.key, error)
        return time()

    async def _ask(
        self, name: str, each: IngestFilter, header: IncomingHeader, origin: Origin
    ) -> FilterVerdict:
        uid = header.identity.sop_instance_uid
        try:
            with anyio.fail_after(self._timeout):
                verdict = await each.judge(header, origin)
            if not isinstance(verdict, FilterVerdict):
                raise TypeError(f"it returned {verdict!r}, which is no verdict")  # noqa: TRY301
        except BaseException as error:
            if not is_failure(error):
                raise
            _log.exception("ingest filter %s failed on %s, which is refused", name, uid)
            reason = f"{type(error).__name__}: {error}"
            await self._record(name, header, origin, Outcome.FAILURE, {"reason": reason})
            raise IngestFilterError("an ingest filter failed: see the node's log") from error
        if isinstance(verdict, Reject):
            _log.warning("%s is rejected by ingest filter %s: %s", uid, name, verdict.reason)
            details = {"reason": verdict.reason, "status": f"{verdict.status:04X}"}
            await self._record(name, header, origin, Outcome.FAILURE, details)
            raise RejectedInstanceError(verdict.reason, verdict.status)
        return verdict

    async def _record_edit(
        self,
        name: str,
        edit: Edit,
        former: IncomingHeader,
        header: IncomingHeader,
        origin: Origin,
    ) -> None:
        details: dict[str, AuditValue] = {"changed": _names(changed_tags([edit]))}
        if edit.reason:
            details["reason"] = edit.reason
        if former.identity != header.identity:
            details["stored_sop_instance_uid"] = header.identity.sop_instance_uid
            details["stored_study_instance_uid"] = header.identity.study_instance_uid
        await self._record(name, former, origin, Outcome.WARNING, details)

    async def _record(
        self,
        name: str,
        header: IncomingHeader,
        origin: Origin,
        outcome: Outcome,
        details: Mapping[str, AuditValue],
    ) -> None:
        what = {
            "filter": name,
            "sop_instance_uid": header.identity.sop_instance_uid,
            "study_instance_uid": header.identity.study_instance_uid,
            **details,
        }
        await self._audit.record(AuditEvent(AuditKind.INGEST_FILTERED, outcome, origin, what))


def _names(tags: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags)
