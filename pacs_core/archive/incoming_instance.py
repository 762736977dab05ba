"""An instance on its way in: its stream, scanned while it passes, and its object."""

from collections import deque
from collections.abc import AsyncIterable
from functools import lru_cache
from operator import itemgetter
from types import TracebackType
from typing import Self

from anyio.lowlevel import checkpoint

from pacs_core.archive.corrections import NO_CORRECTIONS, Corrected, Corrections
from pacs_core.archive.fixity import CREATOR_UID, FIRST, ROOM, Digest, Fixity
from pacs_core.archive.ingest_stages import StageTimer
from pacs_core.contracts import (
    IdentityMismatchError,
    IngestStage,
    InstanceIdentity,
    InstanceRecord,
    InvalidInstanceError,
    ObjectWriter,
    Origin,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import Attributes, HeaderScanner, file_meta, keyword_of
from pacs_core.dimse import is_valid_uid

# Theory of operation
#
# A dataset comes as a stream of chunks, and is read once. With each chunk three things happen in
# the same step (`_read`): the scanner looks at it, the digest takes it, its size is counted. The
# chunk itself is handed on as it came, since bytes are stored as they came.
#
# Who an instance is must be known before it is written: its lock, its row and its key depend on it.
# So `read_header` reads ahead until the four UIDs are there, usually within the first chunk, and
# holds those chunks (`_held`) for `next` to hand out. `MAX_HELD` bounds that: a dataset that has
# not said who it is within 16 MiB is refused.
#
# A dataset may say it again further on, and otherwise. The first counts everywhere else; here it is
# a reason to refuse, because tools that go by the last would take it for another instance. Hence
# the identity is compared again at the end.
#
# The prefix, our file meta information, is made before the digest is known. It has room for it, of
# fixed length, and is written over (`sealed`) when the object is committed.

SPECIFIC_CHARACTER_SET = 0x0008_0005
SOP_CLASS = 0x0008_0016
SOP_INSTANCE = 0x0008_0018
STUDY = 0x0020_000D
SERIES = 0x0020_000E
IDENTITY_TAGS = frozenset({SOP_CLASS, SOP_INSTANCE, STUDY, SERIES})
_identity_values = itemgetter(SOP_CLASS, SOP_INSTANCE, STUDY, SERIES)

MAX_HELD = 16 << 20
"""Bytes in which a dataset must have said who it is; they are held in memory until then."""

Chunk = bytes | memoryview

_SLICE = 4096  # of a deflated dataset; it may inflate to 4 MiB
_STRETCH = 1 << 20


async def scan_steadily(scanner: HeaderScanner, chunk: Chunk) -> None:
    """Feed a scanner, and let others run in between if there is much to look at."""
    if not scanner.inflates:
        scanner.feed(chunk)
        return
    looked_at = scanner.offset
    for start in range(0, len(chunk), _SLICE):
        scanner.feed(chunk[start : start + _SLICE])
        if scanner.offset - looked_at > _STRETCH:
            looked_at = scanner.offset
            await checkpoint()


def _name(tag: int) -> str:
    return f"{keyword_of(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def uid_in(attributes: Attributes, tag: int) -> str:
    """Return the UID that a dataset has at `tag`.

    Raises
    ------
    InvalidInstanceError
        It is absent, has several values, or is no UID (PS3.5 §9.1).
    """
    values = attributes.get(tag, ())
    if not values:
        raise InvalidInstanceError(f"the dataset has no {_name(tag)}")
    if len(values) > 1 or not isinstance(values[0], str) or not is_valid_uid(values[0]):
        raise InvalidInstanceError(f"{_name(tag)} is not a UID: {str(values[0])[:80]!r}")
    return values[0]


def identity_in(attributes: Attributes) -> InstanceIdentity:
    """Return the validated identity of a dataset (PS3.3 A.1.2).

    Raises
    ------
    InvalidInstanceError
        One of the four UIDs is missing or not valid.
    """
    return InstanceIdentity(
        study_instance_uid=uid_in(attributes, STUDY),
        series_instance_uid=uid_in(attributes, SERIES),
        sop_instance_uid=uid_in(attributes, SOP_INSTANCE),
        sop_class_uid=uid_in(attributes, SOP_CLASS),
    )


def _ae_title(text: str) -> str:
    # File meta information knows the default character repertoire only (PS3.10 §7.1).
    return text.strip() if text.isascii() and text.isprintable() else ""


@lru_cache(maxsize=64)
def _unwanted(scanned: frozenset[int], wanted: frozenset[int]) -> frozenset[int]:
    """Return what a scanner finds that nobody wants, its own Specific Character Set included."""
    return (scanned | {SPECIFIC_CHARACTER_SET}) - wanted


class IncomingInstance:
    """The stream of one dataset. Every byte is scanned once, and held until it is taken.

    Parameters
    ----------
    dataset : async iterable of bytes-like
    transfer_syntax_uid : str
    origin : Origin
    scanned_tags, wanted_tags : frozenset of int
        What to look for, the identity included, and what of it the index wants.
    character_set : tuple of str
        Specific Character Set where the dataset names none, or lies.
    corrections : Corrections
        What may apply to it.
    timer : StageTimer or None
        Which takes the time of its stages.

    Attributes
    ----------
    identity : InstanceIdentity
        As corrections have it.
    corrected_through : int
        The last correction that was known when that was found out.
    oddities : Oddities
        What was put up with, and what is in the way of a conversion; all at the end.
    """

    identity: InstanceIdentity
    _identified_by: tuple[object, ...]

    def __init__(
        self,
        dataset: AsyncIterable[Chunk],
        transfer_syntax_uid: str,
        origin: Origin,
        *,
        scanned_tags: frozenset[int],
        wanted_tags: frozenset[int],
        character_set: tuple[str, ...] = (),
        corrections: Corrections = NO_CORRECTIONS,
        timer: StageTimer | None = None,
    ) -> None:
        self.timer = timer
        self.transfer_syntax_uid = transfer_syntax_uid
        self.origin = origin
        self.size = 0
        self._digest = Digest()
        self._chunks = aiter(dataset)
        self._scanner = HeaderScanner(
            transfer_syntax_uid,
            scanned_tags,
            thorough=True,
            default_character_set=character_set,
        )
        self.oddities = self._scanner.oddities
        self._wanted = wanted_tags
        self._unwanted = _unwanted(scanned_tags, wanted_tags)
        self._corrections = corrections
        self.corrected_through = corrections.number
        self._held: deque[Chunk] = deque()
        self._ended = False

    async def read_header(self, sop_class_uid: str, sop_instance_uid: str) -> None:
        """Read until the dataset has said who it is, and check that.

        Raises
        ------
        InvalidInstanceError
            A UID is missing or not valid.
        IdentityMismatchError
            The dataset is not the instance that was announced.
        MalformedDataset
            It is no dataset in its transfer syntax.
        """
        found = self._scanner.attributes
        while not (self._scanner.done or found.keys() >= IDENTITY_TAGS):
            if self.size > MAX_HELD:
                raise InvalidInstanceError(f"the dataset has no identity in {self.size} bytes")
            if (chunk := await self._read()) is None:
                break
            self._held.append(chunk)
        self.identity = identity_in(found)
        self._identified_by = _identity_values(found)
        _agree(SOP_CLASS, sop_class_uid, self.identity.sop_class_uid)
        _agree(SOP_INSTANCE, sop_instance_uid, self.identity.sop_instance_uid)
        if self.corrected_through:
            self.identity = self._correct().identity

    async def next(self) -> Chunk | None:
        """Return the next chunk of the dataset, None at its end.

        Raises
        ------
        MalformedDataset
            The dataset is malformed, or ended too early.
        InvalidInstanceError
            It ended, and had said who it is more than once, not always the same.
        """
        if self._held:
            return self._held.popleft()
        chunk = await self._read()
        if chunk is None and _identity_values(self._scanner.attributes) != self._identified_by:
            raise InvalidInstanceError("the dataset has two different identities")
        return chunk

    async def _read(self) -> Chunk | None:
        if self._ended:
            return None
        try:
            # Cancelled here, nothing is lost: a chunk that was not handed out has not been counted.
            if self.timer is not None:
                self.timer.begin(IngestStage.RECEIVE)
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._ended = True
            self._scanner.finish()
            return None
        self.size += len(chunk)
        if self.timer is not None:
            self.timer.begin(IngestStage.SCAN)
        self._digest.update(chunk)
        if self._scanner.inflates:
            await scan_steadily(self._scanner, chunk)
        else:
            self._scanner.feed(chunk)
        if self.timer is not None:
            self.timer.end()
        return chunk

    def put_back(self, chunk: Chunk) -> None:
        """Let :meth:`next` return a chunk again."""
        self._held.appendleft(chunk)

    async def read_small(self, limit: int) -> list[Chunk] | None:
        """Read to the end a dataset that has no more bytes than `limit`; None if it has.

        Either way :meth:`next` returns all of it.
        """
        chunks: list[Chunk] = []
        size = 0
        while size <= limit and (chunk := await self.next()) is not None:
            chunks.append(chunk)
            size += len(chunk)
        self._held.extendleft(reversed(chunks))
        return chunks if size <= limit else None

    @property
    def digest(self) -> bytes:
        """Digest of what has arrived; of the dataset, at its end."""
        return self._digest.digest()

    def prefix(self, ae_title: str) -> bytes:
        """Return what precedes the dataset in a Part 10 object that `ae_title` writes.

        Its last bytes are room for what :meth:`sealed` puts there.
        """
        return file_meta(
            self.identity.sop_class_uid,
            self.identity.sop_instance_uid,
            self.transfer_syntax_uid,
            source_ae_title=_ae_title(ae_title),
            sending_ae_title=_ae_title(self.origin.calling_ae_title),
            receiving_ae_title=_ae_title(self.origin.called_ae_title),
            private_creator_uid=CREATOR_UID,
            private_information=ROOM,
        )

    def sealed(self, prefix: bytes, rank: int = FIRST) -> bytes:
        """Return a prefix with the digest, at the end of the dataset, and the object's rank."""
        return prefix[: -len(ROOM)] + Fixity(self.digest, rank).pack()

    @property
    def attributes(self) -> Attributes:
        """What the index wants of the header; complete at the end of the dataset."""
        if self.corrected_through:
            found = self._correct().attributes
            return {tag: values for tag, values in found.items() if tag in self._wanted}
        scanned = dict(self._scanner.attributes)
        for tag in self._unwanted:
            scanned.pop(tag, None)
        return scanned

    def record(self, stored: StoredObject) -> InstanceRecord:
        """Return the record of this instance, stored whole as `stored`."""
        offset = stored.size - self.size
        instance = StoredInstance(
            self.identity,
            self.transfer_syntax_uid,
            stored.key,
            stored.size,
            offset,
            self.digest,
            origin=self.origin,
        )
        # Read when the record is made: a correction made later is noticed by the archive.
        self.corrected_through = self._corrections.number
        if self.corrected_through:
            return self._correct().record(InstanceRecord(instance), self._wanted)
        return InstanceRecord(instance, self.attributes)

    def _correct(self) -> Corrected:
        """Return what corrections make of what has been read of the header."""
        found = self._scanner.attributes
        return self._corrections.apply(identity_in(found), found)


def _agree(tag: int, announced: str, found: str) -> None:
    if found != announced:
        raise IdentityMismatchError(f"{_name(tag)} is {found} where {announced!r} was announced")


class InstanceWriter:
    """Writes a Part 10 object (PS3.10 §7): file meta information, then the dataset as it came.

    An async context manager: leaving it without :meth:`commit` leaves no trace of the object.

    Parameters
    ----------
    writer : ObjectWriter
    incoming : IncomingInstance
    ae_title : str
        Of the node that writes.

    Attributes
    ----------
    beginning : bytes
        What precedes the dataset in the object that was committed.
    """

    def __init__(self, writer: ObjectWriter, incoming: IncomingInstance, ae_title: str) -> None:
        self._writer = writer
        self._incoming = incoming
        self._prefix = incoming.prefix(ae_title)
        self._begun = False
        self.beginning = b""

    async def write(self, chunk: Chunk) -> None:
        """Write the next bytes of the dataset, after what precedes it in the object."""
        # With the first chunk, so that a small object is one write.
        chunks = [chunk] if self._begun else [self._prefix, chunk]
        self._begun = True
        timer = self._incoming.timer
        if timer is not None:
            timer.begin(IngestStage.WRITE)
        await self._writer.write(chunks)
        if timer is not None:
            timer.end()

    async def commit(self, variant: str = "", rank: int = FIRST) -> StoredObject:
        """Commit the object with the digest of the dataset, all of which has arrived."""
        self.beginning = self._incoming.sealed(self._prefix, rank)
        timer = self._incoming.timer
        if timer is not None:
            timer.begin(IngestStage.COMMIT)
        stored = await self._writer.commit(variant, beginning=self.beginning)
        if timer is not None:
            timer.end()
        return stored

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget what was not committed."""
        await self._writer.abort()
