"""A dataset on its way in that is read ahead, and passed through editors."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from anyio import to_thread
from anyio.lowlevel import checkpoint

from pacs_core.archive.incoming_instance import IDENTITY_TAGS, Chunk, identity_in
from pacs_core.archive.instance_reading import drive
from pacs_core.contracts import IncomingHeader
from pacs_core.dataset import DatasetEditor, ElementReader, encoding_of
from pacs_core.dataset.inflate import Inflater
from pacs_core.transcoding import Spool

# Theory of operation
#
# Filters judge the header before anything is stored, and a stream can be read but once. So what the
# judging reads is kept, as it came, in a spool: in memory, and in a file without a name where a
# header is long. Afterwards the dataset is handed out from its beginning, first from the spool,
# then from the stream, which goes on where reading stopped.
#
# The reader of elements wants ranges, and of a deflated dataset those of the inflated one. It goes
# forward only, so a window (`_window`, which begins at `_base`) is enough.

_SLICE: Final = 4096  # of a deflated dataset; it may inflate a thousandfold


class HeldStream:
    """A dataset that is read ahead as far as its header goes, and then from its beginning.

    What was read ahead is held in memory, or in a file without a name if it is long.

    Parameters
    ----------
    chunks : async iterator of bytes-like
    transfer_syntax_uid : str
    """

    size: int | None = None

    def __init__(self, chunks: AsyncIterator[Chunk], transfer_syntax_uid: str) -> None:
        self._chunks = chunks
        self._uid = transfer_syntax_uid
        self._inflater = Inflater() if encoding_of(transfer_syntax_uid).deflated else None
        self._spool = Spool()
        self._window = bytearray()
        self._base = 0
        self._ended = False

    async def read(self, offset: int, length: int) -> bytes:
        """Return a range of the inflated dataset, for the reader of its elements: it goes on."""
        self._forget(offset)
        while self._base + len(self._window) < offset + length and not self._ended:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._ended = True
            else:
                await self._spool.add(chunk)
                await self._take(chunk, offset)
        start = offset - self._base
        return bytes(self._window[start : start + length])

    async def _take(self, chunk: Chunk, offset: int) -> None:
        if self._inflater is None:
            self._window += chunk
            self._forget(offset)
            return
        for start in range(0, len(chunk), _SLICE):
            for piece in self._inflater.pieces(chunk[start : start + _SLICE]):
                self._window += piece
                self._forget(offset)
            await checkpoint()

    def _forget(self, offset: int) -> None:
        passed = min(offset - self._base, len(self._window))
        del self._window[:passed]
        self._base += passed

    async def read_header(self, character_set: tuple[str, ...]) -> IncomingHeader:
        """Read what filters judge.

        Raises
        ------
        MalformedDataset
            It is no dataset in its transfer syntax.
        InvalidInstanceError
            A UID is missing or not valid.
        """
        reader = ElementReader(
            self._uid, until_pixel_data=True, default_character_set=character_set
        )
        await drive(reader.run(), self)
        # It served the header. What was read is in the spool, as it came.
        self._window.clear()
        elements = reader.elements
        uids = {tag: elements.texts(tag) for tag in IDENTITY_TAGS}
        return IncomingHeader(identity_in(uids), self._uid, elements)

    async def chunks(self, *, again: bool = False) -> AsyncGenerator[Chunk, None]:
        """Iterate over the dataset, as it came.

        Parameters
        ----------
        again : bool
            Whether it will be iterated over again; else that ends the holding.
        """
        async for chunk in self._spool.chunks():
            yield chunk
        if not again:
            self._spool.close()
        async for chunk in self._chunks:
            if again:
                await self._spool.add(chunk)
            yield chunk

    def close(self) -> None:
        """Forget what is held."""
        self._spool.close()


async def edit_stream(
    chunks: AsyncIterator[Chunk], editor: DatasetEditor, *, deflated: bool
) -> AsyncGenerator[Chunk, None]:
    """Pass a dataset through an editor; a deflated one in a thread, for that takes long."""
    async for chunk in chunks:
        if not deflated:
            for piece in editor.feed(chunk):
                yield piece
            continue
        for start in range(0, len(chunk), _SLICE):
            for piece in await to_thread.run_sync(editor.feed, chunk[start : start + _SLICE]):
                yield piece
    for piece in editor.finish():
        yield piece
