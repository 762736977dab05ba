"""Files of results: taken whole before anything is made of them, whatever they are.

What is larger than a result may be is kept all the same, so that somebody may look at it and have
it archived; but not more than `_KEPT` times as much, lest a service that never ends fill the disk.
"""

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import anyio
import anyio.to_thread
from attrs import evolve, frozen

from pacs_ai.findings import Fault, Finding
from pacs_ai.kinds import have_pixels
from pacs_core.api.files import file_chunks, sync_directory
from pacs_core.dataset import (
    Changes,
    DatasetDecoder,
    DatasetEditor,
    HeaderScanner,
    Modification,
    NeedMoreData,
    NotPart10,
    PixelDataElement,
    encoding_of,
    file_meta,
    read_file_meta,
)

if TYPE_CHECKING:
    from pydicom import Dataset

_CHUNK: Final = 1 << 18
_META: Final = 1 << 17
_HEADER: Final = 64 << 20
"""Bytes that the header of a result may have; per-frame functional groups are in it."""
_KEPT: Final = 2
_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
"""Photometric Interpretations with two samples for each pixel (PS3.3 C.7.6.3.1.2)."""


@frozen
class ResultFile:
    """A result as it came: a Part 10 file, if it is one.

    Attributes
    ----------
    path : Path
    transfer_syntax_uid : str
        Empty if it is no DICOM file.
    dataset_offset : int
    digest : str
        SHA-256 of the dataset, in hex; of all bytes if it is no DICOM file.
    findings : tuple of Finding
        What is wrong with the file itself.
    """

    path: Path
    transfer_syntax_uid: str
    dataset_offset: int
    digest: str
    findings: tuple[Finding, ...] = ()

    def dataset(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the bytes of the dataset."""
        return file_chunks(self.path, self.dataset_offset)

    async def edit(self, editor: DatasetEditor) -> AsyncIterator[bytes | memoryview]:
        """Iterate over the bytes of the dataset as an editor leaves it."""
        async for chunk in self.dataset():
            for piece in await anyio.to_thread.run_sync(editor.feed, chunk):
                yield piece
        for piece in editor.finish():
            yield piece


def make_editor(
    file: ResultFile, changes: Changes, when: float, system: str, source: str
) -> DatasetEditor:
    """Return what corrects a result, and says so in Original Attributes Sequence."""
    modification = Modification(when, system, source, "COERCE")
    return DatasetEditor(file.transfer_syntax_uid, changes, modification)


async def spool_file(content: AsyncIterable[bytes], directory: Path, limit: int) -> ResultFile:
    """Write what should be a Part 10 file as it comes; durable when this returns.

    Parameters
    ----------
    content : async iterable of bytes
        Not read further than is kept.
    directory : Path
    limit : int
        Bytes that it may have.
    """
    await anyio.to_thread.run_sync(lambda: directory.mkdir(0o700, parents=True, exist_ok=True))
    path = directory / f"{uuid4().hex}.dcm"
    try:
        size = await write_file(content, path, most_kept(limit))
        await anyio.to_thread.run_sync(sync_directory, directory)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    file_found = await open_file(path)
    return evolve(file_found, findings=(*_find_too_large(size, limit), *file_found.findings))


async def write_file(content: AsyncIterable[bytes], path: Path, most: int) -> int:
    """Write a new file and sync it; return how many bytes came, of which `most` are kept.

    Not read further than is kept, but for a piece that shows that there is more.
    """
    size = 0
    async with await anyio.open_file(path, "xb") as file:
        async for chunk in content:
            await file.write(chunk[: max(most - size, 0)])
            size += len(chunk)
            if size > most:
                break
        await file.flush()
        await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
    return size


def most_kept(limit: int) -> int:
    """Return the bytes that are kept of a result that may have `limit`."""
    return limit * _KEPT


async def spool_dataset(
    dataset: AsyncIterable[bytes | memoryview],
    identity: tuple[str, str, str],
    directory: Path,
    limit: int,
) -> ResultFile:
    """Write a dataset likewise.

    Parameters
    ----------
    dataset : async iterable of bytes-like
    identity : (str, str, str)
        SOP Class, SOP Instance and Transfer Syntax UID.
    directory : Path
    limit : int
    """

    async def content() -> AsyncIterator[bytes]:
        yield file_meta(*identity)
        async for chunk in dataset:
            yield bytes(chunk)

    return await spool_file(content(), directory, limit)


def _find_too_large(size: int, limit: int) -> Iterator[Finding]:
    if size > limit:
        yield Finding(Fault.SIZE, f"it is larger than {limit} bytes")
    if size > limit * _KEPT:
        text = f"it was not taken further than {limit * _KEPT} bytes"
        yield Finding(Fault.UNREADABLE, text)


async def open_file(path: Path) -> ResultFile:
    """Return a file that is there, and say what keeps it from being a DICOM file."""
    return await anyio.to_thread.run_sync(_examine, path)


def _examine(path: Path) -> ResultFile:
    uid, offset, problem = "", 0, ""
    with path.open("rb") as file:
        try:
            meta = read_file_meta(file.read(_META))
            uid, offset = meta.transfer_syntax_uid, meta.dataset_offset
            problem = "" if uid else "it does not say its transfer syntax"
        except (NotPart10, NeedMoreData) as error:
            problem = f"it is no DICOM file: {error}"
        file.seek(offset)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    findings = (Finding(Fault.UNREADABLE, problem),) if problem else ()
    return ResultFile(path, uid, offset, digest, findings)


def read_header(file: ResultFile) -> "tuple[Dataset, str]":
    """Read the dataset of a result up to its pixel data, and what is wrong with it; in a thread.

    What comes behind is read for its structure only, so that a file which was cut short is found.

    Raises
    ------
    MalformedDataset
        It is none.
    """
    decoder = DatasetDecoder(file.transfer_syntax_uid, stop_before_pixels=True, max_length=_HEADER)
    scanner = HeaderScanner(file.transfer_syntax_uid, (), thorough=True)
    with file.path.open("rb") as stored:
        stored.seek(file.dataset_offset)
        while chunk := stored.read(_CHUNK):
            if not decoder.has_stopped:
                decoder.feed(chunk)
            scanner.feed(chunk)
    scanner.finish()
    dataset = decoder.finish()
    is_native = not encoding_of(file.transfer_syntax_uid).encapsulated
    problem = _check_length(dataset, decoder.pixel_data, is_native=is_native)
    return dataset, scanner.oddities.obstacle or problem


def _check_length(dataset: "Dataset", found: PixelDataElement | None, *, is_native: bool) -> str:
    """Say what is wrong with there being Pixel Data, or with the length of native ones."""
    if found is None:
        return "it is an image without pixel data" if have_pixels(dataset) else ""
    if found.length is None:
        return ""
    if not is_native:
        return "its pixel data are not encapsulated, as its transfer syntax wants (PS3.5 A.4)"
    try:
        is_subsampled = dataset.get("PhotometricInterpretation") in _SUBSAMPLED
        samples = 2 if is_subsampled else int(dataset.get("SamplesPerPixel") or 1)
        pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
        wanted = (int(dataset.BitsAllocated) * samples * pixels + 7) // 8
    except (AttributeError, TypeError, ValueError) as error:
        return f"its pixel data are not described: {error}"
    if wanted <= found.length <= wanted + 1:
        return ""
    return f"it has {found.length} bytes of pixel data instead of {wanted}"
