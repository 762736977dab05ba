"""A frame of a file, for plugins that show or export images."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread

from pacs_core.app.assembly import Assembly
from pacs_core.app.transcoding import open_transcoder
from pacs_core.contracts import TranscodingError
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file
from pacs_core.transcoding import StoredFrame, decode_frame

_CHUNK = 1024 * 1024


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
    try:
        meta = (await anyio.to_thread.run_sync(scan_file, path, ())).meta
    except (NotPart10, MalformedDataset) as error:
        raise TranscodingError(f"not a DICOM file: {error}") from error
    async with open_transcoder(assembly) as transcoder:
        chunks = _chunks(path, meta.dataset_offset)
        return await decode_frame(transcoder, meta.transfer_syntax_uid, chunks, number)


async def _chunks(path: Path, offset: int) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(offset)
        while chunk := await file.read(_CHUNK):
            yield chunk
