"""The archive as plugins see it: the one door to stored instances."""

from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from typing import TYPE_CHECKING, Final

from attrs import evolve

from pacs_core.concurrency import closing
from pacs_core.contracts.access import AccessAction, AccessTarget
from pacs_core.contracts.availability import Availability, RecallProgress, RecallReport
from pacs_core.contracts.corrections import (
    Correction,
    CorrectionReport,
    EntityPath,
)
from pacs_core.contracts.deletion import DeletionReport
from pacs_core.contracts.deletion_bin import DeletedInstance
from pacs_core.contracts.differences import Difference
from pacs_core.contracts.fingerprints import Fingerprint
from pacs_core.contracts.frames import Frame, FrameCount, FrameNotFoundError, InstanceHeader
from pacs_core.contracts.ingest import IngestResult
from pacs_core.contracts.instance import (
    InstanceNotFoundError,
    InstancePath,
    Origin,
    StoredInstance,
)
from pacs_core.contracts.metadata import METADATA_LIMITS, encode_metadata
from pacs_core.contracts.object_store import (
    CHUNK_SIZE,
    DamagedObjectError,
    ObjectReader,
    with_beginning,
)
from pacs_core.contracts.pydicom_decoding import finish_decoding
from pacs_core.dataset import (
    Attributes,
    BulkData,
    Changes,
    DatasetDecoder,
    ReadLimits,
    decode_file_meta,
)
from pacs_core.query.model import Level, Query

if TYPE_CHECKING:
    from pydicom import Dataset

_NO_FRAME: Final = 1 << 31
"""A number that no frame has: Number of Frames is an IS (PS3.5 Table 6.2-1)."""
_BEGINNING: Final = 64 * 1024  # bytes that most datasets have at most before Pixel Data


class Archive(ABC):
    """Ingest, find, open and delete over whichever store and index are configured.

    This is the archive itself, which asks nobody. Whoever acts for somebody else asks for the
    archive as that one may use it: :meth:`on_behalf_of`.
    """

    def on_behalf_of(
        self,
        origin: Origin,
        *,
        reading: str = AccessAction.RETRIEVE,
        what: AccessTarget | None = None,
    ) -> "Archive":
        """Return the archive as the authorizers let it be for `origin`.

        Its methods ask them the first time that they are called: :meth:`search` for ``query``;
        :meth:`instances`, :meth:`locate` and :meth:`open` for `reading`; :meth:`ingest` for
        ``store``, :meth:`delete` and :meth:`delete_all` for ``delete``, and :meth:`update`,
        :meth:`revert` and :meth:`corrections` for ``update``. What they say holds as long as the
        object is used, so ask for one with each request.

        - Where they deny, a method raises :class:`AccessDeniedError`.
        - Where they restrict, instances that do not meet the conditions are not there: they are
          neither found, counted, opened nor deleted, and none is stored. An entity is corrected
          only if all its instances meet them.

        Without authorizers it is the archive itself. This default has none.

        Parameters
        ----------
        origin : Origin
        reading : str
            For what instances are read.
        what : AccessTarget, optional
            What the authorizers are told besides.
        """
        return self

    @abstractmethod
    async def ingest(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Store a dataset, byte for byte, and index it; durable when this returns.

        Parameters
        ----------
        dataset : async iterable of bytes-like
            The encoded dataset without file meta information, in any chunks.
        transfer_syntax_uid : str
            How it is encoded.
        sop_class_uid, sop_instance_uid : str
            As announced (Affected SOP Class and Instance UID); the dataset must agree.
        origin : Origin

        Raises
        ------
        IngestError
            One of its subclasses says why.
        """

    @abstractmethod
    def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches, see :meth:`Index.search`."""

    @abstractmethod
    async def count(self, query: Query) -> int:
        """Return how many entities match, see :meth:`Index.count`."""

    @abstractmethod
    def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances, see :meth:`Index.instances`."""

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return how many instances match, and a digest of them, see :meth:`Index.fingerprint`."""
        everything = evolve(query, limit=None, offset=0, order=())
        return await Fingerprint.of_instances(self.instances(everything))

    @abstractmethod
    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags that a query at `level` may match on or return."""

    async def gap(self) -> str:
        """Return why :meth:`search` and :meth:`instances` may miss instances that are stored.

        Empty if there is no reason to think so; else whoever answers with what they find must say
        that it may be incomplete.
        """
        return ""

    async def availability(self, query: Query) -> Availability:
        """Return how soon all instances at or below what matches can be read.

        That is the availability of the least available one (PS3.4 C.4.1.1.3.2); ``UNAVAILABLE``
        if there is none. An archive whose store has all of it online does not look. This default
        is one.
        """
        return Availability.ONLINE

    async def availabilities(
        self, query: Query, entities: Sequence[tuple[str, ...]]
    ) -> Sequence[Availability]:
        """Return :meth:`availability` of each of several entities, of which one query finds all.

        Parameters
        ----------
        query : Query
        entities : sequence of tuple of str
            UIDs of each, of its study first, down to the level of the query.
        """
        return [Availability.ONLINE] * len(entities)

    async def recall(self, query: Query, report: RecallReport | None = None) -> RecallProgress:
        """Bring the instances at or below what matches online, before many of them are opened.

        Ends when all are online, or no more come; opening an instance says whether it did. Need
        not be called: :meth:`open` and the other methods that read recall a single instance. This
        default has all of it online.

        Parameters
        ----------
        query : Query
        report : callable, optional
            Awaited about once a second while something is waited for, such as to tell a peer; to
            give up, cancel the call.
        """
        return RecallProgress()

    @abstractmethod
    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path, or None.

        Whoever knows a SOP Instance UID only asks :meth:`instances`: several studies may have it.
        """

    @abstractmethod
    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Open the Part 10 object of an instance.

        What the reader hands out of the dataset has been checked, if that is configured; its
        methods raise :class:`DamagedObjectError` as well. An object on slow media is recalled, and
        waited for.

        Raises
        ------
        InstanceNotFoundError
            The object is gone.
        NotOnlineError
            It is not online, and did not come within ``[archive] recall_timeout``.
        DamagedObjectError
            The object is not what was stored.
        """

    async def open_and_read(
        self, instance: StoredInstance, length: int, *, with_file_meta: bool = False
    ) -> tuple[ObjectReader, bytes]:
        """Open the object of an instance, and read the first `length` bytes of its dataset.

        Parameters
        ----------
        instance : StoredInstance
        length : int
        with_file_meta : bool
            Read them of the whole file instead, which begins with its preamble and its File Meta
            Information (PS3.10 §7.1).

        Raises
        ------
        InstanceNotFoundError
            The object is gone.
        DamagedObjectError
            The object is not what was stored.
        """
        offset = 0 if with_file_meta else instance.dataset_offset
        return await with_beginning(await self.open(instance), offset, length)

    async def read_dataset(
        self, instance: StoredInstance, *, stop_before_pixels: bool = True, limit: int = 64 << 20
    ) -> "Dataset":
        """Read the dataset of an instance, and decode it with pydicom.

        The object is read piece by piece, and no further than needed; at most `limit` bytes of the
        dataset are held. To look at instances without reading their objects, :meth:`search`.

        Parameters
        ----------
        instance : StoredInstance
        stop_before_pixels : bool
            Leave out Pixel Data, Float Pixel Data or Double Float Pixel Data, and what follows.
        limit : int
            Bytes that the dataset may have, inflated, as far as it is read.

        Returns
        -------
        pydicom.Dataset
            With ``file_meta``, whose Transfer Syntax UID is that of the Dataset: the stored one, or
            Explicit VR Little Endian of what is stored deflated or in big endian. A value is
            converted when it is looked at.

        Raises
        ------
        DatasetTooLarge
            Of ``pacs_core.dataset``: it is longer than `limit`; :meth:`open` reads what is larger.
        MalformedDataset
            Of ``pacs_core.dataset``: it can be stored, but not read.
        InstanceNotFoundError
            The object is gone.
        DamagedObjectError
            The object is not what was stored.
        """
        decoder = DatasetDecoder(
            instance.transfer_syntax_uid, stop_before_pixels=stop_before_pixels, max_length=limit
        )
        reader, beginning = await self.open_and_read(instance, _BEGINNING)
        async with reader:
            decoder.feed(beginning)
            offset = instance.dataset_offset + len(beginning)
            while not decoder.has_stopped and (chunk := await reader.read(offset, CHUNK_SIZE)):
                decoder.feed(chunk)
                offset += len(chunk)
            meta = await reader.read(0, instance.dataset_offset)
        dataset = await finish_decoding(decoder)
        dataset.file_meta = decode_file_meta(meta, decoder.transfer_syntax_uid)
        return dataset

    @abstractmethod
    async def header(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Read the elements of an instance, with their VR, but no long values.

        Read by ranges: what is long is passed over, and of encapsulated Pixel Data nothing is read
        but the headers of the fragments. A deflated dataset is inflated, piece by piece.

        Ranges are not checked against the digest of the object, which only all of it could be;
        only its size is. :meth:`open` checks.

        Parameters
        ----------
        instance : StoredInstance
        limits : ReadLimits, optional
            What is a long value, and how much is read at most.

        Raises
        ------
        MalformedDataset
            Of ``pacs_core.dataset``: it can be stored, but not read, or exceeds the limits.
        InstanceNotFoundError
            The object is gone.
        DamagedObjectError
            The object has not the size of what was stored.
        """

    async def metadata(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes]]:
        """Iterate over the metadata of instances at or below the entities that match a query.

        In the order of :meth:`instances`, and in bounded memory. An archive whose index keeps
        metadata (:class:`PreparedMetadata`) gives those of most instances without opening their
        objects; this default reads the header of each.

        Yields
        ------
        (StoredInstance, bytes)
            The instance, and a DICOM JSON Model object in UTF-8 (PS3.18 F.2). Values of
            ``BulkDataURI`` are relative to the instance: :func:`resolve_bulk_data` puts a base
            before them, and :func:`bulk_data_path` says which element one means. Of an instance
            that cannot be read there are its UIDs only, which is logged.
        """
        async for instance in self.instances(query):
            yield instance, encode_metadata(await self.header(instance, METADATA_LIMITS))

    @abstractmethod
    def bulk_data(self, instance: StoredInstance, value: BulkData) -> AsyncIterator[bytes]:
        """Iterate over the bytes of a value that :meth:`header` has left where it is.

        Little endian; in pieces, without padding being removed.

        Raises
        ------
        UnreadableFramesError
            The value is encapsulated Pixel Data: ask for :meth:`frames`.
        InstanceNotFoundError, DamagedObjectError
            As of :meth:`header`.
        """

    @abstractmethod
    def frames(self, instance: StoredInstance, numbers: Sequence[int]) -> AsyncIterator[Frame]:
        """Iterate over frames, as they are stored, in the order in which they are asked for.

        Each is read by its range: of native Pixel Data that is arithmetic; of encapsulated ones it
        is in the Extended or Basic Offset Table, as long as fragments do not contradict these,
        else the headers of all fragments are read. Only where these do not tell which fragments
        make a frame, all that comes before it is read as well. A deflated dataset is inflated as
        far as needed. Nothing is decoded: :meth:`Transcoder.frames` does that.

        As of :meth:`header`, the size of the object is checked, its digest is not.

        Parameters
        ----------
        instance : StoredInstance
        numbers : sequence of int
            Of the frames, from 1.

        Raises
        ------
        FrameNotFoundError
            Before the first frame: one of the numbers is out of range, or there are fewer frames
            than Number of Frames says.
        UnreadableFramesError
            Pixel Data are not what their header says, or are a video.
        MalformedDataset, InstanceNotFoundError, DamagedObjectError
            As of :meth:`header`.
        """

    async def frame_count(self, instance: StoredInstance) -> FrameCount:
        """Return how many frames an instance has, which may be fewer than it says.

        Raises
        ------
        UnreadableFramesError, MalformedDataset, InstanceNotFoundError, DamagedObjectError
            As of :meth:`frames`.
        """
        try:
            # The one that is not there comes first: the first is read together with the header.
            async with closing(self.frames(instance, (_NO_FRAME, 1))) as frames:
                await anext(frames, None)
        except FrameNotFoundError as error:
            return FrameCount(error.frames, error.said)
        raise AssertionError("no instance has so many frames")

    @abstractmethod
    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Return when the objects of instances outlive a loss of power, where they are to stay.

        With ``[archive] durability = "commit"`` they do already. With another they are flushed:
        whatever of the index is lost with the power is in the objects, for ``pacs index rebuild``.
        A store that acknowledges objects on a disk of the node, and uploads them later, has
        uploaded these.

        Raises
        ------
        OSError, StorageFullError
            They cannot be flushed.
        """

    @abstractmethod
    async def delete(
        self, path: InstancePath, origin: Origin, *, override: str = ""
    ) -> StoredInstance:
        """Delete an instance from index and store, unless a deletion guard holds it.

        Parameters
        ----------
        path : InstancePath
        origin : Origin
        override : str
            Why it is deleted although it is held, for the audit trail.

        Raises
        ------
        InstanceHeldError
            It is held.
        InstanceNotFoundError
            There is none.
        """

    @abstractmethod
    async def delete_all(
        self, query: Query, origin: Origin, *, override: str = ""
    ) -> DeletionReport:
        """Delete all instances at or below what matches, one after another.

        Each is deleted by itself, as by :meth:`delete`, so that a large query holds up nobody, and
        one that is cut short is simply made again. What cannot be deleted stays, and the report
        says why (:meth:`DeletionReport.raise_unless_deleted`). Where deletion guards hold something
        of a study, nothing of that study is deleted, lest half of it looks like the whole.
        Corrections stay as well: what comes again is corrected again.

        Parameters
        ----------
        query : Query
            ``limit`` and ``offset`` count entities of its level, as in a search.
        origin : Origin
        override : str
            Why what is held is deleted all the same, for the audit trail.
        """

    async def holds(self, query: Query, origin: Origin) -> Mapping[InstancePath, str]:
        """Return what deletion guards would hold now of the instances at or below what matches.

        For who is to be asked before something is deleted. Need not be called: a deletion asks the
        guards itself. This default knows of no guards.
        """
        return {}

    async def restore(self, deleted: DeletedInstance, origin: Origin) -> StoredInstance:
        """Serve again what was deleted and waits in the deletion bin, as it was.

        Its bytes never went; the corrections in force apply to it. When this returns it is found
        and opened by every door, and whoever keeps the bin takes it out. Restoring again is
        harmless.

        Parameters
        ----------
        deleted : DeletedInstance
        origin : Origin
            Who wants it back.

        Returns
        -------
        StoredInstance
            What is served under its SOP Instance UID. If other content has come meanwhile, that
            is; what was deleted is then set aside.

        Raises
        ------
        InstanceNotFoundError
            Its object is gone. This default has no bin.
        """
        raise InstanceNotFoundError("this archive keeps nothing of what was deleted")

    async def purge(self, deleted: DeletedInstance, origin: Origin) -> bool:
        """Remove for good what waits in the deletion bin, with what was set aside of it.

        Whoever keeps the bin lets nobody else restore it meanwhile, and takes it out afterwards.
        It was recorded when it was deleted, and is not again. Doing it again is harmless.

        Returns
        -------
        bool
            False if it is served, because it was restored, or its deletion was cut short: then
            nothing was removed.
        """
        raise InstanceNotFoundError("this archive keeps nothing of what was deleted")

    # --- what may be wrong with it

    async def examine(
        self,
        instance: StoredInstance,
        origin: Origin,
        pace: Callable[[int], Awaitable[None]] | None = None,
    ) -> str:
        """Read the object of an instance whole, and say what is wrong with what is served of it.

        Compared with the digest of what was stored, or, where none is known, read as far as its
        header goes. That it is damaged is logged and recorded (``instance-damaged``), unless it was
        deleted or replaced while it was read; then nothing is wrong. Storing the instance again
        mends it. This default opens it, and reads all.

        Parameters
        ----------
        instance : StoredInstance
        origin : Origin
            Who looks.
        pace : callable, optional
            Awaited with the size of each piece that was read, so that others have the disks too.

        Returns
        -------
        str
            Empty if it is whole.

        Raises
        ------
        NotOnlineError
            It is not online; it is not recalled for this.
        OSError
            It cannot be read, which need not mean that it is damaged.
        """
        try:
            async with await self.open(instance) as reader:
                async for chunk in reader.chunks(instance.dataset_offset):
                    if pace is not None:
                        await pace(len(chunk))
        except (DamagedObjectError, InstanceNotFoundError) as error:
            return str(error)
        return ""

    async def differences(self) -> AsyncIterator[Difference]:
        """Iterate over what is different between index and store, as ``pacs index verify`` does.

        On a node at work, what comes or goes meanwhile may show up; what is asked again is gone
        then. Contents are not read: see :meth:`examine`. This default knows of none.
        """
        return
        yield

    # --- corrections

    @abstractmethod
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
        """Correct what is handed out of a patient, study, series or instance.

        What is stored stays, byte for byte; every door applies the correction on the way out:
        searches find and show it, and what is opened, read, sent or exported is a dataset with
        these elements set or removed, all others byte for byte, and an item of Original Attributes
        Sequence (0400,0561) that tells the previous values (PS3.3 C.12.1.1.9). It also applies to
        what arrives later for that entity. When this returns it is durable, and has been applied
        to all instances; meanwhile some go out before it, and some after.

        Items of Other Patient IDs Sequence (0010,1002) are added to those that are there: it is the
        history of a patient's identifiers.

        Patient ID, Issuer of Patient ID, Study and Series Instance UID may be changed: that merges
        patients or studies, or moves what it is about. References from other instances are not
        followed.

        Parameters
        ----------
        entity : EntityPath
            What it is called now, after earlier corrections.
        changes : Changes
            What elements are set to, by tag, as text; None removes one.
        origin : Origin
        reason : str
            ``COERCE``, ``CORRECT`` or ``ADD``: Reason for the Attribute Modification (0400,0565).
        comment : str
            For the log and the audit trail.
        in_advance : bool
            Also if there is nothing yet: for what is to come.

        Raises
        ------
        CorrectionError
            An element cannot be changed so, nothing would change, an instance would get the path of
            another, or the index keeps no corrections. Nothing was changed.
        InstanceNotFoundError
            There is no such entity.
        """

    @abstractmethod
    async def revert(self, number: int, origin: Origin, *, comment: str = "") -> CorrectionReport:
        """Take back a correction, as if it had never been made; later ones stay.

        Raises
        ------
        CorrectionNotFoundError
            There is none with this number in force.
        CorrectionError
            An instance would get the path of another. Nothing was changed.
        """

    @abstractmethod
    def corrections(self, entity: EntityPath | None = None) -> AsyncIterator[Correction]:
        """Iterate over the log of corrections, by number; those that were reverted as well.

        Parameters
        ----------
        entity : EntityPath, optional
            Only those that were made for what it names, or encloses, or is in, by the names that
            each was made for.
        """
