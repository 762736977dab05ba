"""One dataset from one transfer syntax to another."""

# Theory of operation
#
# A conversion has at most two steps, each an asynchronous iterator over pieces of the dataset:
#
#   pixels    ImageConversion, if the source or the target is encapsulated. It reads any encoding
#             and writes explicit VR little endian.
#   elements  DatasetRecoder, if what the first step writes, or what there is without it, is laid
#             out in another way than the target: implicit VR, big endian, deflated.
#
# So there is one writer of pixels, and the other native transfer syntaxes are made of what it
# writes. Where both steps have nothing to do there is no conversion: the planner passes the stored
# bytes through.
#
# Nothing here knows tasks, threads or processes. Frames are given to a FrameConverter: in the node
# a queue before the worker processes, in a worker that converts a whole file a direct call. What an
# iterator holds (a temporary file, room in the node's memory, frames on their way) it gives back
# when it is closed, and whoever iterates closes it, also when the peer is gone amid an instance.

from collections.abc import AsyncIterable, AsyncIterator

from pacs_core.concurrency import closing
from pacs_core.contracts import Plan
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DatasetRecoder,
    encoding_of,
    short_name_of,
)
from pacs_core.transcoding.deflation import verified_deflation
from pacs_core.transcoding.image_conversion import FrameConverter, ImageConversion
from pacs_core.transcoding.source import Buffer, MemoryRoom, SourceDataset, inflate_chunks
from pacs_core.transcoding.spool import MAX_IN_MEMORY
from pacs_core.transcoding.workers.protocol import Coders


def describe_conversion(plan: Plan) -> str:
    """Return what could not be done, for errors."""
    return f"cannot convert {short_name_of(plan.source)} to {short_name_of(plan.target)}"


def convert_dataset(
    plan: Plan,
    dataset: AsyncIterable[Buffer],
    queue: FrameConverter,
    coders: Coders,
    *,
    max_in_memory: int = MAX_IN_MEMORY,
    room: MemoryRoom | None = None,
) -> AsyncIterator[Buffer]:
    """Iterate over a dataset in the form that was planned.

    Parameters
    ----------
    plan : Plan
        To transcode.
    dataset : async iterable of bytes-like
    queue : FrameConverter
    coders : Coders
    max_in_memory : int
        Bytes of codestreams after which further ones wait in a temporary file.
    room : MemoryRoom, optional
        Where a long header gets its memory from.
    """
    source, target = encoding_of(plan.source), encoding_of(plan.target)
    if not (source.encapsulated or target.encapsulated):
        return _recode_and_verify(plan, plan.source, dataset)
    read = SourceDataset(plan.source, dataset, room)
    conversion = ImageConversion(plan, read, queue, coders, max_in_memory)
    pieces = conversion.chunks()
    if target.encapsulated or plan.target == EXPLICIT_VR_LITTLE_ENDIAN:
        return pieces
    return _recode_and_verify(plan, EXPLICIT_VR_LITTLE_ENDIAN, pieces)


def _recode_and_verify(
    plan: Plan, source: str, chunks: AsyncIterable[Buffer]
) -> AsyncIterator[Buffer]:
    """Convert the encoding of all elements, and verify what is deflated if that is planned."""
    if not (plan.verify and encoding_of(plan.target).deflated):
        return recode(source, plan.target, chunks)
    return verified_deflation(recode(source, EXPLICIT_VR_LITTLE_ENDIAN, chunks))


async def recode(source: str, target: str, chunks: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    """Convert the encoding of all elements, and leave Pixel Data as native as they are."""
    if encoding_of(source).deflated:
        # A chunk may inflate a thousandfold: it is taken in small pieces.
        source, chunks = EXPLICIT_VR_LITTLE_ENDIAN, inflate_chunks(chunks)
    recoder = DatasetRecoder(source, target)
    async with closing(chunks) as fed:
        async for chunk in fed:
            for piece in recoder.feed(chunk):
                yield piece
    for piece in recoder.finish():
        yield piece
