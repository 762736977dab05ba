"""Files on their way to a peer by ``pacs store``."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio.to_thread

from pacs_core.association import AssociationError
from pacs_core.cli.assembling import transcoder_for_command
from pacs_core.cli.errors import UsageError
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, inspect_all
from pacs_core.cli.folders import walk
from pacs_core.cli.options import ClientOptions
from pacs_core.cli.progress import progress
from pacs_core.cli.running import run_async
from pacs_core.cli.sending import FileDelivery
from pacs_core.cli.session import Session, open_session
from pacs_core.cli.store_batches import store_batches
from pacs_core.concurrency import task_group
from pacs_core.contracts import Transcoder

_BATCH = 2000
"""Files that are known before the first of them is sent; bounds memory."""


def store_files(
    peer: str,
    paths: tuple[Path, ...],
    options: ClientOptions,
    *,
    associations: int,
    window: int,
    transcode: bool,
    verbose: bool,
) -> int:
    """Send files to a peer, and return the exit code; see :func:`pacs_core.cli.commands.store`."""
    session = open_session(peer, options)
    if session.peer.deidentify:
        raise UsageError(
            f"{session.peer.name} is configured to get what is de-identified: files are sent as "
            "they are, so run pacs deidentify, and send what it makes to AET@HOST:PORT"
        )
    transcoding = transcoder_for_command(options.config, is_needed=transcode)
    return run_async(_store, session, paths, associations, window, transcoding, verbose)


async def _store(
    session: Session,
    paths: tuple[Path, ...],
    associations: int,
    window: int,
    transcoding: AbstractAsyncContextManager[Transcoder],
    verbose: bool,
) -> int:
    files = await anyio.to_thread.run_sync(lambda: list(walk(paths)))
    with progress("storing", len(files)) as advance:
        counts = FileCounts(advance, verbose)
        async with transcoding as transcoder:
            await _send_all(FileDelivery(session, counts, window, transcoder), files, associations)
    return counts.summarize("stored")


async def _send_all(
    delivery: FileDelivery, files: list[tuple[Path, bool]], associations: int
) -> None:
    try:
        for start in range(0, len(files), _BATCH):
            found = inspect_all(files[start : start + _BATCH])
            usable = [file async for each in found if (file := delivery.counts.take_usable(each))]
            await _send(delivery, usable, associations)
    except AssociationError as error:
        raise delivery.session.failure(error) from error


async def _send(delivery: FileDelivery, files: list[DicomFile], associations: int) -> None:
    for batch in store_batches(files, delivery.transcoder, delivery.session.peer):
        async with task_group() as tasks:
            for part in batch.split(associations):
                tasks.start_soon(delivery.deliver, part)
