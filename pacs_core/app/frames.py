"""Frames of files, for plugins that show, export or compare images."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from attrs import frozen

from pacs_core.app.assembly import Assembly
from pacs_core.app.transcoding import open_transcoder
from pacs_core.concurrency import closing
from pacs_core.concurrency.files import file_chunks
from pacs_core.contracts import TranscodingError
from pacs_core.dataset import FileMeta, MalformedDataset, NotPart10, scan_file
from pacs_core.transcoding import NodeTranscoder, StoredFrame, decode_frame, decode_frames


async def read_frame(assembly: Assembly, path: Path, number: int = 1) -> StoredFrame:
    """Decode a frame of a DICOM file, in a process that a broken file may crash.

    Parameters
    ----------
    assembly : Assembly
        With the codecs to use: ``assemble(load_config(None))`` is what ``pacs`` itself uses.
    path : Path
    number : int
        Of the frame, from 1.

    Raises
    ------
    TranscodingError
        It is no DICOM file, there is no such frame, or it cannot be decoded.
    OSError
        It cannot be read.
    """
    async with open_frames(assembly) as frames:
        return await frames.read_frame(path, number)


@frozen
class FrameReader:
    """Decodes frames of files; see `open_frames`."""

    _transcoder: NodeTranscoder

    async def read_frame(self, path: Path, number: int = 1) -> StoredFrame:
        """Decode one frame of a DICOM file, by its number from 1; raises as `read_frame`."""
        meta = await _read_meta(path)
        chunks = file_chunks(path, meta.dataset_offset)
        return await decode_frame(self._transcoder, meta.transfer_syntax_uid, chunks, number)

    async def read(self, path: Path) -> AsyncGenerator[StoredFrame, None]:
        """Iterate over the frames of a DICOM file; raises as `read_frame`."""
        meta = await _read_meta(path)
        chunks = file_chunks(path, meta.dataset_offset)
        frames = decode_frames(self._transcoder, meta.transfer_syntax_uid, chunks)
        async with closing(frames) as opened:
            async for frame in opened:
                yield frame


@asynccontextmanager
async def open_frames(assembly: Assembly) -> AsyncIterator[FrameReader]:
    """Decode frames of several files, in processes that a broken file may crash.

    Parameters
    ----------
    assembly : Assembly
        See `read_frame`.
    """
    async with open_transcoder(assembly) as transcoder:
        yield FrameReader(transcoder)


async def _read_meta(path: Path) -> FileMeta:
    try:
        return (await anyio.to_thread.run_sync(scan_file, path, ())).meta
    except (NotPart10, MalformedDataset) as error:
        raise TranscodingError(f"not a DICOM file: {error}") from error
