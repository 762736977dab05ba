"""Finds DICOM files in folders, and reads just enough of each to send it."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import anyio.to_thread
from attrs import frozen

from pacs_core.concurrency import Threads
from pacs_core.contracts import FrameFormat
from pacs_core.dataset import FileMeta, MalformedDataset, NotPart10, scan_file, texts
from pacs_core.dimse import is_valid_uid
from pacs_core.transcoding import file_chunks, image_in

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
    """A file in a folder that is no DICOM file, or a DICOMDIR."""

    path: Path


Found = DicomFile | Unusable | Skipped


def walk(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Iterate over files, and whether each was named rather than found in a folder."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        folders = [path]
        while folders:
            below, files = _list(folders.pop())
            folders += reversed(below)
            yield from ((file, False) for file in files)


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        # Shows up as a file that cannot be read, with the reason.
        return [], [folder]
    folders = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    # Pipes and devices would block.
    return folders, [Path(e.path) for e in entries if e.is_file()]


def inspect(path: Path, named: bool) -> Found:
    """Say what a file is. Blocking."""
    if named and path.exists() and not path.is_file():
        return Unusable(path, "no regular file")
    try:
        return _inspect(path)
    except OSError as error:
        return Unusable(path, error.strerror or str(error))
    except NotPart10 as error:
        return Unusable(path, f"not a DICOM file: {error}") if named else Skipped(path)
    except (MalformedDataset, ValueError) as error:
        return Unusable(path, str(error)) if named or _is_part10(path) else Skipped(path)


def _inspect(path: Path) -> Found:
    scanned = scan_file(path, {SOP_CLASS, SOP_INSTANCE})
    meta = scanned.meta
    if meta.sop_class_uid == _DIRECTORY:
        return Skipped(path)
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


def _is_part10(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
    return False


async def inspected(paths: Iterable[tuple[Path, bool]]) -> AsyncIterator[Found]:
    """Iterate over what files are, read in a thread some at a time."""
    pending = iter(paths)
    while batch := await anyio.to_thread.run_sync(_next_batch, pending):
        for found in batch:
            yield found


def _next_batch(pending: Iterator[tuple[Path, bool]]) -> list[Found]:
    return [inspect(path, named) for path, named in islice(pending, _SCANNED_AT_ONCE)]
