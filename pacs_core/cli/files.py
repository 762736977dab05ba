"""Finds DICOM files in folders, and reads just enough of each to send it."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import anyio.to_thread
from attrs import frozen

from pacs_core.concurrency import Threads
from pacs_core.concurrency.files import file_chunks
from pacs_core.contracts import FrameFormat
from pacs_core.dataset import (
    FileMeta,
    MalformedDataset,
    NotPart10,
    is_part10,
    scan_file,
    texts,
)
from pacs_core.dimse import is_valid_uid
from pacs_core.transcoding import image_in

# Theory of operation
#
# What is sent is named by people in two ways, and a problem weighs differently. A file that was
# named must be sent, or its failure reported and the exit code changed. Files in a folder are
# looked through: what is clearly no DICOM is skipped, as folders hold DICOMDIRs, text and viewers;
# but what begins like a DICOM file and cannot be read is a damaged one, hence a failure.
#
# Links to files are followed, links to folders are not: they may lead in a circle. Pipes and
# devices are never opened, since reading would wait for ever.
#
# Only headers are read here, some tens of files per visit to a thread: a visit costs more than a
# file. Small datasets are read in the event loop when they are sent, because the system has them in
# memory from being scanned.

SOP_CLASS, SOP_INSTANCE = 0x0008_0016, 0x0008_0018
_DIRECTORY = "1.2.840.10008.1.3.10"
"""Media Storage Directory: a DICOMDIR, which is nothing to store (PS3.10 §8.6)."""

_CHUNK = 1024 * 1024
_SCANNED_AT_ONCE = 64
_AT_ONCE = 64 * 1024  # bytes that were scanned just now, and take less time than a thread
_READERS = Threads(4, "file-reader")


@frozen
class DicomFile:
    """A file that holds an instance.

    Attributes
    ----------
    path : Path
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
    offset : int
        Where the dataset begins.
    length : int
        Bytes of the dataset.
    meta : FileMeta
        What the file says of itself.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int
    length: int
    meta: FileMeta

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the dataset, from disk; see :func:`file_chunks`."""
        return file_chunks(self.path, self.offset, self.length)

    async def image(self) -> FrameFormat | None:
        """Return the format of its image, see :func:`image_in`.

        Raises
        ------
        OSError
            It cannot be read.
        """
        head = await _READERS.run(self._read, min(self.length, _CHUNK))
        return image_in(head, self.transfer_syntax_uid)

    async def dataset(self) -> bytes | AsyncIterable[bytes]:
        """Return the dataset: small ones as bytes, larger ones as a stream.

        Raises
        ------
        OSError
            It cannot be read.
        """
        if self.length > _CHUNK:
            return self.chunks()
        if self.length <= _AT_ONCE:
            return self._read(self.length)
        return await _READERS.run(self._read, self.length)

    def _read(self, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(length)


@frozen
class Unusable:
    """A file that was named or looked like DICOM, and cannot be sent."""

    path: Path
    reason: str


@frozen
class Skipped:
    """What is in a folder and no DICOM file to send.

    Attributes
    ----------
    path : Path
    reason : str
    is_odd : bool
        Somebody should know: it may have been meant to be one.
    """

    path: Path
    reason: str
    is_odd: bool = False


Found = DicomFile | Unusable | Skipped


def inspect(path: Path, named: bool) -> Found:
    """Say what a file is. Blocking."""
    try:
        # Pipes and devices would block.
        if reason := _irregular(path):
            return Unusable(path, reason) if named else Skipped(path, reason)
    except OSError as error:
        reason = error.strerror or str(error)
        if named or not path.is_symlink():
            return Unusable(path, reason)
        return Skipped(path, f"a link that leads nowhere: {reason}", is_odd=True)
    try:
        return _inspect(path)
    except OSError as error:
        return Unusable(path, error.strerror or str(error))
    except NotPart10 as error:
        reason = f"not a DICOM file: {error}"
        return Unusable(path, reason) if named else Skipped(path, reason)
    except (MalformedDataset, ValueError) as error:
        # What begins as a DICOM file is one that is damaged, and not to be passed over.
        if named or is_part10(path):
            return Unusable(path, str(error))
        return Skipped(path, f"not a DICOM file: {error}")


def _irregular(path: Path) -> str:
    """Return what is there, if it is no file; nothing if it is one, or cannot be told."""
    mode = path.stat().st_mode
    if S_ISREG(mode) or (S_ISDIR(mode) and not path.is_symlink()):
        return ""
    return "a link to a folder, which is not followed" if S_ISDIR(mode) else "no regular file"


def _inspect(path: Path) -> Found:
    scanned = scan_file(path, {SOP_CLASS, SOP_INSTANCE})
    meta = scanned.meta
    if meta.sop_class_uid == _DIRECTORY:
        return Skipped(path, "a DICOMDIR")
    sop_class = _only(texts(scanned.attributes, SOP_CLASS)) or meta.sop_class_uid
    sop_instance = _only(texts(scanned.attributes, SOP_INSTANCE)) or meta.sop_instance_uid
    for name, uid in (("SOP Class UID", sop_class), ("SOP Instance UID", sop_instance)):
        if not is_valid_uid(uid):
            raise ValueError(f"has no valid {name}" + (f": {uid[:80]!r}" if uid else ""))
    offset = meta.dataset_offset
    length = (scanned.size or 0) - offset
    return DicomFile(path, sop_class, sop_instance, meta.transfer_syntax_uid, offset, length, meta)


def _only(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else ""


async def inspect_all(paths: Iterable[tuple[Path, bool]]) -> AsyncIterator[Found]:
    """Iterate over what files are, read in a thread some at a time."""
    pending = iter(paths)

    # The hop to a thread is paid once for many files.
    def inspect_some() -> list[Found]:
        return [inspect(path, named) for path, named in islice(pending, _SCANNED_AT_ONCE)]

    while batch := await anyio.to_thread.run_sync(inspect_some):
        for found in batch:
            yield found
