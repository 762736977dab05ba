"""Files whose pixels are made native to be blanked, and compressed again without loss."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import anyio
from attrs import evolve

from pacs_core.api.files import file_chunks
from pacs_core.api.images import is_lossless, is_video
from pacs_core.api.streams import closing
from pacs_core.contracts import Action, Plan, Transcoder, TranscodingError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    FileMeta,
    NeedMoreData,
    NotPart10,
    file_meta,
    read_file_meta,
    short_name_of,
)
from pacs_deidentify.errors import DeidentificationError

# Theory of operation
#
# Codecs belong to the archive, which runs them in processes of their own and verifies what they
# encode without loss. So a compressed image in which something is to be blanked goes through the
# transcoder twice: to native pixels first, and when it was de-identified, to its own transfer
# syntax, or the one that the profile names. A lossy one stays native, for to compress it again
# would lose more; that it was lossy, it goes on saying (PS3.3 C.7.6.1.1.5).

_PREFIX: Final = 1 << 16


async def make_native(transcoder: Transcoder, source: Path, target: Path) -> str:
    """Write a file with native pixels; return the transfer syntax UID that it had.

    Raises
    ------
    DeidentificationError
        Nothing decodes it, or it cannot be decoded.
    """
    meta = await read_meta(source)
    syntax = meta.transfer_syntax_uid
    if is_video(syntax):
        raise DeidentificationError("it is a video, of which nothing can be blanked")
    plan = transcoder.plan(syntax, (EXPLICIT_VR_LITTLE_ENDIAN,))
    async with (
        await anyio.open_file(target, "xb") as out,
        closing(_transcode(transcoder, plan, source, meta)) as pieces,
    ):
        async for piece in pieces:
            await out.write(piece)
    return syntax


async def compress_again(
    transcoder: Transcoder, source: Path, syntax: str, wanted: str, write: Callable[[bytes], object]
) -> None:
    """Write a file as it was compressed before, if that is lossless and can be encoded.

    Parameters
    ----------
    transcoder : Transcoder
    source : Path
        With native pixels.
    syntax : str
        Transfer syntax UID that it had.
    wanted : str
        The one that it is to have; empty for its own.
    write : callable
        Takes the bytes of the file.

    Raises
    ------
    DeidentificationError
        It cannot be encoded in what was wanted.
    """
    meta = await read_meta(source)
    target = wanted or (syntax if is_lossless(syntax) else EXPLICIT_VR_LITTLE_ENDIAN)
    plan = transcoder.plan(EXPLICIT_VR_LITTLE_ENDIAN, (target,))
    if plan.action is Action.REFUSE and not wanted:
        plan = transcoder.plan(EXPLICIT_VR_LITTLE_ENDIAN, (EXPLICIT_VR_LITTLE_ENDIAN,))
    plan = evolve(plan, verify=bool(plan.encoder))
    async with closing(_transcode(transcoder, plan, source, meta)) as pieces:
        async for piece in pieces:
            write(bytes(piece))


async def _transcode(
    transcoder: Transcoder, plan: Plan, source: Path, meta: FileMeta
) -> AsyncIterator[bytes | memoryview]:
    if plan.action is Action.REFUSE:
        raise DeidentificationError(
            f"pixels are in {short_name_of(plan.source)}, which cannot be converted: {plan.reason}"
        )
    try:
        yield file_meta(meta.sop_class_uid, meta.sop_instance_uid, plan.target)
        dataset = file_chunks(source, meta.dataset_offset)
        async with closing(transcoder.transcode(plan, dataset)) as made:
            async for piece in made:
                yield piece
    except (TranscodingError, ValueError) as error:
        raise DeidentificationError(f"its pixels cannot be converted: {error}") from error


async def read_meta(path: Path) -> FileMeta:
    """Return the File Meta Information of a file.

    Raises
    ------
    DeidentificationError
        It has none.
    """
    async with await anyio.open_file(path, "rb") as opened:
        prefix = await opened.read(_PREFIX)
    try:
        return read_file_meta(prefix)
    except (NotPart10, NeedMoreData) as error:
        raise DeidentificationError(f"its pixels cannot be converted: {error}") from error
