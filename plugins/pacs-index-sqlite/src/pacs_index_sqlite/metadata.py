"""The metadata that the index keeps, in a table of their own: one row for each instance.

A transaction that removes an instance removes its row, and one that adds an instance does not touch
the table. So which instances lack metadata is found by walking over the ids of instances: all up to
`through` have been seen to have some. Whatever removes an instance, whose id may be used again,
or forgets its metadata, moves `through` back behind it. It also changes the revision, without
which neither `through` is moved forward nor anything kept: whoever began before has looked at what
was.

Metadata are some kilobytes of JSON that consist of the same tags again and again: with a dictionary
of these each is compressed to a fifth, alone and fast.
"""

import sqlite3
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, frozen

from pacs_core.contracts import (
    InstancePath,
    LackingMetadata,
    PreparedMetadata,
    Query,
    StoredInstance,
)
from pacs_core.dataset import tag_of, vr_of
from pacs_core.relational import Sql, json_of
from pacs_index_sqlite.locations import ABOVE, LOCATION, ROWS_OF_PATHS, stored_instance

Entries: TypeAlias = Sequence[tuple[StoredInstance, bytes | None]]
Change: TypeAlias = Callable[["Metadata"], Any]
Read: TypeAlias = Callable[[sqlite3.Connection], Any]

TABLES: Final = (
    # Content is NULL where there is nothing to keep, so that nobody looks again.
    "CREATE TABLE metadata (instance INTEGER PRIMARY KEY REFERENCES instance, content BLOB)",
    """CREATE TABLE metadata_state (
        form TEXT NOT NULL, through INTEGER NOT NULL, revision INTEGER NOT NULL)""",
    "INSERT INTO metadata_state VALUES ('', 0, 0)",
)
_STATE: Final = "SELECT form, through, revision FROM metadata_state"
_LACKING: Final = f"""
    SELECT instance.id, {LOCATION} FROM instance {ABOVE}
    WHERE instance.id > ? AND (? OR NOT EXISTS (
        SELECT 1 FROM metadata WHERE metadata.instance = instance.id))
    ORDER BY instance.id LIMIT ?"""  # noqa: S608
_FIND: Final = f"""
    SELECT instance.id, {LOCATION} FROM instance {ABOVE}
    WHERE SOPInstanceUID = ? AND StudyInstanceUID = ?"""  # noqa: S608
_FAR: Final = 512
"""Instances that are walked over again and again before `through` is moved."""

CONTENT: Final = (
    "(SELECT content FROM metadata WHERE metadata.instance = instance.id "
    "AND (SELECT form FROM metadata_state) = (SELECT name FROM form))"
)
"""The column of what is kept for an instance, within :func:`in_form`."""

# Never change it: what was compressed with another is lacking.
_FREQUENT: Final = """
    PatientName PatientID PatientBirthDate PatientSex PatientAge PatientWeight BodyPartExamined
    ScanOptions KVP SliceThickness SoftwareVersions ProtocolName ReconstructionDiameter
    GantryDetectorTilt TableHeight RotationDirection ExposureTime XRayTubeCurrent Exposure
    FilterType ConvolutionKernel PatientPosition MagneticFieldStrength EchoTime RepetitionTime
    FlipAngle EchoTrainLength ImagingFrequency StudyID ImagePositionPatient
    ImageOrientationPatient FrameOfReferenceUID SliceLocation PositionReferenceIndicator
    SmallestImagePixelValue LargestImagePixelValue WindowCenter WindowWidth RescaleIntercept
    RescaleSlope RescaleType SamplesPerPixel PhotometricInterpretation PixelSpacing BitsAllocated
    BitsStored HighBit PixelRepresentation PixelData InstanceCreationDate InstanceCreationTime
    StudyDate SeriesDate AcquisitionDate ContentDate StudyTime SeriesTime AcquisitionTime
    ContentTime AccessionNumber Manufacturer InstitutionName InstitutionAddress
    ReferringPhysicianName StationName StudyDescription SeriesDescription ManufacturerModelName
    CodeValue CodingSchemeDesignator CodeMeaning ReferencedSOPClassUID ReferencedSOPInstanceUID
    ProcedureCodeSequence RequestAttributesSequence ReferencedImageSequence
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality StudyInstanceUID
    SeriesInstanceUID SeriesNumber AcquisitionNumber InstanceNumber Rows Columns
"""
_DICTIONARY: Final = ",".join(
    f'"{tag_of(word):08X}":{{"vr":"{vr_of(tag_of(word))}","Value":["' for word in _FREQUENT.split()
).encode()


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables: a step of the schema."""
    for statement in TABLES:
        connection.execute(statement)


def in_form(form: str) -> Sql:
    """Return the common table expression for `CONTENT`: the form that is asked for."""
    return Sql("WITH form (name) AS (VALUES (?)) ", (form,))


def compress(content: bytes) -> bytes:
    """Return metadata as they are kept."""
    compressor = zlib.compressobj(level=6, zdict=_DICTIONARY)
    return compressor.compress(content) + compressor.flush()


def decompress(content: bytes) -> bytes | None:
    """Return metadata as they were given; None if they cannot be read any more."""
    try:
        return zlib.decompressobj(zdict=_DICTIONARY).decompress(content)
    except zlib.error:
        return None


def instance_with_metadata(row: tuple[Any, ...]) -> tuple[StoredInstance, bytes | None]:
    """Return what the columns of `LOCATION` and `CONTENT` say."""
    content = row[-1]
    return stored_instance(row[:-1]), None if content is None else decompress(content)


@define
class Metadata:
    """The metadata as the writer sees them, within its transactions."""

    _connection: sqlite3.Connection

    def forget_instance(self, row: int) -> None:
        """Forget the metadata of an instance that is removed."""
        self._connection.execute("DELETE FROM metadata WHERE instance = ?", (row,))
        self._connection.execute(
            "UPDATE metadata_state SET through = min(through, ?), revision = revision + 1",
            (row - 1,),
        )

    def forget(self, paths: Sequence[InstancePath]) -> None:
        """Forget the metadata of instances."""
        for (row,) in self._connection.execute(ROWS_OF_PATHS, (json_of(paths),)).fetchall():
            self.forget_instance(row)

    def forget_all(self) -> None:
        """Forget everything, before the instances themselves are removed."""
        self._connection.execute("DELETE FROM metadata")
        self._connection.execute("UPDATE metadata_state SET through = 0, revision = revision + 1")

    def keep(self, entries: Entries, revision: int, form: str) -> bool:
        """Keep metadata, if nothing was forgotten meanwhile."""
        connection = self._connection
        present, _, now = connection.execute(_STATE).fetchone()
        if now != revision:
            return False
        if present != form:
            connection.execute("DELETE FROM metadata")
            connection.execute("UPDATE metadata_state SET form = ?, through = 0", (form,))
        for instance, content in entries:
            study, uid = instance.identity.path
            row = connection.execute(_FIND, (uid, study)).fetchone()
            if row is not None and stored_instance(row[1:]) == instance:
                kept = None if content is None else compress(content)
                connection.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (row[0], kept))
        return True

    def note_through(self, through: int, revision: int, form: str) -> None:
        """Note that no instance up to this one lacks metadata, as far as nothing was forgotten."""
        self._connection.execute(
            "UPDATE metadata_state SET through = ? WHERE revision = ? AND form = ?",
            (through, revision, form),
        )


@frozen
class _Lacking:
    """What lacks metadata, and through where nothing did."""

    found: LackingMetadata
    through: int
    noted: int

    @classmethod
    def find(cls, connection: sqlite3.Connection, form: str, limit: int) -> "_Lacking":
        # In this order: what comes or goes in between must not look as if it had been there.
        present, noted, revision = connection.execute(_STATE).fetchone()
        noted = noted if present == form else 0
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM instance").fetchone()
        if last <= noted:
            return cls(LackingMetadata((), revision), noted, noted)
        rows = connection.execute(_LACKING, (noted, present != form, limit)).fetchall()
        through = rows[0][0] - 1 if rows else last
        instances = [stored_instance(row[1:]) for row in rows]
        return cls(LackingMetadata(instances, revision), through, noted)


@frozen
class SqliteMetadata(PreparedMetadata):
    """The metadata as the kernel sees them.

    Parameters
    ----------
    form : str
    write, read : callable
        Run a function in a transaction of the writer, or with a connection for reading.
    find_all : callable
        Iterates over instances with their metadata.
    """

    _form: str
    _write: Callable[[Change], Coroutine[Any, Any, Any]]
    _read: Callable[[Read], Coroutine[Any, Any, Any]]
    _find: Callable[[Query, str], AsyncIterator[tuple[StoredInstance, bytes | None]]]

    def find(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        """Iterate over instances and what is kept, see :meth:`PreparedMetadata.find`."""
        return self._find(query, self._form)

    async def lacking(self, limit: int) -> LackingMetadata:
        """Return what lacks metadata, see :meth:`PreparedMetadata.lacking`."""
        lacking: _Lacking = await self._read(lambda c: _Lacking.find(c, self._form, limit))
        found, through = lacking.found, lacking.through
        if through - lacking.noted >= (_FAR if found.instances else 1):
            await self._write(lambda m: m.note_through(through, found.revision, self._form))
        return found

    async def revision(self) -> int:
        """Return the revision, see :meth:`PreparedMetadata.revision`."""
        return int((await self._read(lambda c: c.execute(_STATE).fetchone()))[2])

    async def keep(
        self, metadata: Sequence[tuple[StoredInstance, bytes | None]], revision: int
    ) -> bool:
        """Keep metadata, see :meth:`PreparedMetadata.keep`."""
        return bool(await self._write(lambda m: m.keep(metadata, revision, self._form)))

    async def forget(self, paths: Sequence[InstancePath]) -> None:
        """Forget the metadata of instances, see :meth:`PreparedMetadata.forget`."""
        await self._write(lambda m: m.forget(paths))
