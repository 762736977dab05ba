"""Files of results: taken whole, with a limit, before anything is made of them."""

import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import anyio
import anyio.to_thread
from attrs import frozen

from pacs_ai.interface import ServiceError
from pacs_core.api.files import sync_directory
from pacs_core.dataset import (
    Changes,
    DatasetDecoder,
    DatasetEditor,
    ElementReader,
    HeaderScanner,
    MalformedDataset,
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


@frozen
class ResultFile:
    """A result as a Part 10 file.

    Attributes
    ----------
    path : Path
    transfer_syntax_uid : str
    dataset_offset : int
    size : int
        Bytes of the file.
    digest : str
        SHA-256 of the dataset, in hex.
    """

    path: Path
    transfer_syntax_uid: str
    dataset_offset: int
    size: int
    digest: str

    async def dataset(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes of the dataset."""
        async with await anyio.open_file(self.path, "rb") as file:
            await file.seek(self.dataset_offset)
            while chunk := await file.read(_CHUNK):
                yield chunk

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
    """Write a Part 10 file as it comes; durable when this returns.

    Raises
    ------
    ServiceError
        It is no DICOM file, or larger than `limit`; nothing of it is left.
    """
    path = await _spool(content, directory, limit)
    try:
        return await open_file(path)
    except ServiceError:
        path.unlink(missing_ok=True)
        raise


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

    return await open_file(await _spool(content(), directory, limit + _META))


async def _spool(content: AsyncIterable[bytes], directory: Path, limit: int) -> Path:
    await anyio.to_thread.run_sync(lambda: directory.mkdir(0o700, parents=True, exist_ok=True))
    path, size = directory / f"{uuid4().hex}.dcm", 0
    try:
        async with await anyio.open_file(path, "xb") as file:
            async for chunk in content:
                size += len(chunk)
                if size > limit:
                    raise ServiceError(f"a result is larger than {limit} bytes")  # noqa: TRY301
                await file.write(chunk)
            await file.flush()
            await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
        await anyio.to_thread.run_sync(sync_directory, directory)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def open_file(path: Path) -> ResultFile:
    """Return a file that is there.

    Raises
    ------
    ServiceError
        It is no DICOM file.
    """
    return await anyio.to_thread.run_sync(_examine, path)


def _examine(path: Path) -> ResultFile:
    with path.open("rb") as file:
        try:
            meta = read_file_meta(file.read(_META))
        except (NotPart10, NeedMoreData) as error:
            raise ServiceError(f"a result is no DICOM file: {error}") from error
        if not meta.transfer_syntax_uid:
            raise ServiceError("a result does not say its transfer syntax")
        file.seek(meta.dataset_offset)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return ResultFile(path, meta.transfer_syntax_uid, meta.dataset_offset, size, digest)


def read_header(file: ResultFile) -> "Dataset":
    """Read the dataset of a result up to its pixel data; in a thread.

    What comes behind is read for its structure only, so that a file which was cut short is found.

    Raises
    ------
    MalformedDataset
        It is none, or its native Pixel Data have not the length that its header tells of.
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
    if problem := scanner.oddities.obstacle or _wrong_length(dataset, _find_pixel_data(file)):
        raise MalformedDataset(problem, 0)
    return dataset


def _find_pixel_data(file: ResultFile) -> PixelDataElement | None:
    if encoding_of(file.transfer_syntax_uid).deflated:
        return None
    size = file.size - file.dataset_offset
    reader = ElementReader(file.transfer_syntax_uid, size, until_pixel_data=True)
    with file.path.open("rb") as stored:
        reader.read_file(stored, file.dataset_offset)
    return reader.pixel_data


def _wrong_length(dataset: "Dataset", found: PixelDataElement | None) -> str:
    """Say what is wrong with the length of native Pixel Data, if something is."""
    if found is None or found.length is None:
        return ""
    try:
        bits = int(dataset.BitsAllocated) * int(dataset.get("SamplesPerPixel") or 1)
        pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    except (AttributeError, TypeError, ValueError) as error:
        return f"its pixel data are not described: {error}"
    wanted = (bits * pixels + 7) // 8
    if wanted <= found.length <= wanted + 1:
        return ""
    return f"it has {found.length} bytes of pixel data instead of {wanted}"
