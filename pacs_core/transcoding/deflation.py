"""Deflation of a whole dataset, inflated again while it goes out (PS3.5 A.5)."""

from collections.abc import AsyncIterable, AsyncIterator
from hashlib import blake2b

from pacs_core.concurrency import closing
from pacs_core.contracts import VerificationError
from pacs_core.dataset import Deflater, MalformedDataset
from pacs_core.dataset.inflate import Inflater

Buffer = bytes | memoryview


async def verified_deflation(chunks: AsyncIterable[Buffer]) -> AsyncIterator[bytes]:
    """Deflate a dataset in explicit VR little endian.

    Raises
    ------
    VerificationError
        At the end: what was deflated does not inflate to what went in. Nothing may be kept of it.
    """
    deflater, inflater = Deflater(), Inflater()
    before, after = blake2b(), blake2b()

    def check(deflated: bytes) -> bytes:
        try:
            for piece in inflater.pieces(deflated):
                after.update(piece)
        except MalformedDataset as error:
            raise VerificationError(f"what was deflated is not inflated again: {error}") from error
        return deflated

    async with closing(chunks) as dataset:
        async for chunk in dataset:
            before.update(chunk)
            if piece := check(deflater.feed(chunk)):
                yield piece
    yield check(deflater.finish())
    if not inflater.ended or after.digest() != before.digest():
        raise VerificationError("it is not lossless: what was deflated inflates to something else")
