"""The folder in which Orthanc keeps its files and its index, an SQLite database.

Each attachment of an instance is a file named by a UUID, in folders of its first characters. The
index says which are DICOM files, how they are compressed, and what their MD5 is. Only the database
of Orthanc itself is read, which a server that runs keeps to itself; that server, and one with
another database (PostgreSQL, MySQL), has to be asked.
"""

import re
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Final

from attrs import frozen

from pacs_core.cli.other_archives import OtherArchive, OtherArchiveError, OtherInstance

_DICOM: Final = 1
"""FileContentType_Dicom."""
_UNCOMPRESSED, _ZLIB_WITH_SIZE = 1, 2
_CHUNK: Final = 1 << 20
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATEMENT: Final = """
    SELECT file.uuid, file.compressionType, file.uncompressedMD5, study_uid.value, uid.value
    FROM AttachedFiles AS file
    LEFT JOIN Resources AS instance ON instance.internalId = file.id
    LEFT JOIN Resources AS series ON series.internalId = instance.parentId
    LEFT JOIN DicomIdentifiers AS study_uid ON study_uid.id = series.parentId
        AND study_uid.tagGroup = 32 AND study_uid.tagElement = 13
    LEFT JOIN DicomIdentifiers AS uid ON uid.id = file.id
        AND uid.tagGroup = 8 AND uid.tagElement = 24
    WHERE file.fileType = ? ORDER BY file.id
"""


@frozen
class _Attachment(OtherInstance):
    compression: int = _UNCOMPRESSED


@frozen
class OrthancFolder(OtherArchive):
    """A folder with the index of Orthanc in it, whose server does not run.

    Attributes
    ----------
    folder : Path
    """

    maker: ClassVar[str] = "Orthanc"

    folder: Path

    @classmethod
    def open(cls, place: str) -> "OrthancFolder":
        """Return the source of a folder.

        Raises
        ------
        OtherArchiveError
            Orthanc has no index there.
        """
        folder = Path(place)
        if not (folder / "index").is_file():
            raise OtherArchiveError(
                f"{folder} is no storage folder of Orthanc: it has no file named index. With an "
                "index in PostgreSQL or MySQL, give the URL of the server instead"
            )
        return cls(folder)

    def instances(self) -> Iterator[OtherInstance]:
        """See base."""
        address = f"{(self.folder / 'index').absolute().as_uri()}?mode=ro"
        try:
            with closing(
                sqlite3.connect(address, uri=True, timeout=2, check_same_thread=False)
            ) as index:
                for uuid, compression, md5, *uids in index.execute(_STATEMENT, (_DICOM,)):
                    study, uid = (str(value or "") for value in uids)
                    yield _Attachment(str(uuid), study, uid, md5 or "", compression)
        except sqlite3.OperationalError as error:
            raise OtherArchiveError(
                f"the index of Orthanc in {self.folder} cannot be read ({error}): while the server "
                "runs, give its URL instead"
            ) from error
        except sqlite3.Error as error:
            raise OtherArchiveError(f"the index of Orthanc in {self.folder}: {error}") from error

    def _chunks(self, instance: OtherInstance) -> Iterator[bytes]:
        uuid = instance.name
        if not _UUID.fullmatch(uuid):  # it becomes a path
            raise OtherArchiveError("the index of Orthanc names it by no UUID")
        path = self.folder / uuid[:2] / uuid[2:4] / uuid
        compression = instance.compression if isinstance(instance, _Attachment) else _UNCOMPRESSED
        if compression not in (_UNCOMPRESSED, _ZLIB_WITH_SIZE):
            raise OtherArchiveError(f"it is compressed in a way that is not known: {compression}")
        try:
            with path.open("rb") as file:
                pieces = iter(lambda: file.read(_CHUNK), b"")
                yield from _inflate(pieces) if compression == _ZLIB_WITH_SIZE else pieces
        except (OSError, zlib.error, struct.error) as error:
            raise OtherArchiveError(f"it cannot be read: {error}") from error


def _inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what was compressed: eight bytes of its length, little endian, then a zlib stream."""
    first = next(pieces, b"")
    (left,) = struct.unpack_from("<Q", first)
    stream = zlib.decompressobj()
    piece = first[8:]
    while left:
        chunk = stream.decompress(piece, _CHUNK)
        left -= len(chunk)
        if left < 0:
            raise zlib.error("there is more than its length says")
        if chunk:
            yield chunk
        piece = stream.unconsumed_tail or next(pieces, b"")
        if not (chunk or piece):
            raise zlib.error("the compressed file ends early")
