"""Conversion of files: small ones whole in a worker, others frame by frame."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import frozen

from pacs_core.concurrency import closing
from pacs_core.concurrency.files import file_chunks
from pacs_core.contracts import CodecError, Plan, TranscodingError
from pacs_core.transcoding.file_draft import Buffer, FileDraft, draft_path
from pacs_core.transcoding.table import pickle_codecs
from pacs_core.transcoding.transcoder import NodeTranscoder
from pacs_core.transcoding.workers.protocol import FileJob
from pacs_core.transcoding.workers.whole_file import MAX_FILE


@frozen
class FileConversion:
    """A file to convert.

    Attributes
    ----------
    plan : Plan
    source : Path
    offset, length : int
        Where its dataset begins, and bytes of the dataset.
    target : Path
        File to write; its folder exists.
    head : bytes
        What precedes the dataset in it: see `file_meta`.
    overwrite : bool
        Whether to replace what is at `target`, which may be the source.
    """

    plan: Plan
    source: Path
    offset: int
    length: int
    target: Path
    head: bytes
    overwrite: bool = False

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the dataset, from disk; see :func:`file_chunks`."""
        return file_chunks(self.source, self.offset, self.length)


async def convert_file(transcoder: NodeTranscoder, conversion: FileConversion) -> None:
    """Convert a file; the target appears when it is complete, or not at all.

    Raises
    ------
    TranscodingError
        The file cannot be converted, or not be read or written as a worker found.
    FileExistsError
        There is a file at the target, which is not to be overwritten.
    OSError
        It cannot be read or written.
    """
    if not (conversion.length <= MAX_FILE and await _by_worker(transcoder, conversion)):
        await _by_frames(transcoder, conversion)


async def _by_worker(transcoder: NodeTranscoder, conversion: FileConversion) -> bool:
    draft = draft_path(conversion.target)
    job = FileJob(
        conversion.plan,
        str(conversion.source.absolute()),
        conversion.offset,
        conversion.length,
        str(conversion.target.absolute()),
        conversion.head,
        str(draft.absolute()),
        conversion.overwrite,
        pickle_codecs(conversion.plan, transcoder.table),
    )
    finished = False
    try:
        finished = await transcoder.workers.run_file(job)
    except CodecError as error:
        finished = True
        raise TranscodingError(str(error)) from error
    finally:
        if not finished:  # a worker that dies leaves what it has written
            draft.unlink(missing_ok=True)
    return finished


async def _by_frames(transcoder: NodeTranscoder, conversion: FileConversion) -> None:
    draft = await anyio.to_thread.run_sync(FileDraft, draft_path(conversion.target))
    try:
        await anyio.to_thread.run_sync(draft.write, conversion.head)
        async with closing(conversion.chunks()) as dataset:
            pieces = transcoder.stream(conversion.plan, dataset)  # nobody sees a draft
            async with closing(pieces) as chunks:
                await _write(draft, chunks)
        await anyio.to_thread.run_sync(draft.finish, conversion.target, conversion.overwrite)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(draft.discard)


async def _write(draft: FileDraft, chunks: AsyncIterator[Buffer]) -> None:
    async for chunk in chunks:
        await anyio.to_thread.run_sync(draft.write, chunk)
