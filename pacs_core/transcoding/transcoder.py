"""The node's transcoder: plans by the configuration, converts in worker processes."""

import logging
from collections.abc import AsyncIterable, AsyncIterator, Collection

from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Action,
    Frame,
    FrameFormat,
    Peer,
    Plan,
    Transcoder,
    TranscodingError,
)
from pacs_core.dataset import encoding_of
from pacs_core.transcoding.conversion import convert_dataset, describe_conversion
from pacs_core.transcoding.frame_conversion import FrameConversion
from pacs_core.transcoding.frame_queue import FrameQueue
from pacs_core.transcoding.image_conversion import FAULTS
from pacs_core.transcoding.planner import Planner
from pacs_core.transcoding.source import Buffer, MemoryRoom
from pacs_core.transcoding.spool import MAX_IN_MEMORY, Spool
from pacs_core.transcoding.table import CodecTable, pickle_codecs
from pacs_core.transcoding.workers.pool import CodecWorkers

# Theory of operation
#
# The transcoder puts together what others know: the planner which form a peer gets, the table which
# codec makes it, the workers where it runs. By itself it decides two things only.
#
# The first is how much is held back. A conversion may fail at any frame, and DIMSE has no way to
# take back a dataset of which some was sent: the association would have to be aborted, and all that
# was still to be sent over it. So what can fail is waited for before the first byte goes out, in
# memory up to a limit and in a temporary file beyond (`_spool_all`); or, where only elements are
# encoded anew and failures are early ones, for the first 16 MiB (`_hold_back`). Over HTTP, where a
# response may break off, `stream` holds nothing back.
#
# The second is the size of chunks (`_gather`): single elements are a few bytes, and each chunk that
# is handed on becomes a PDU.

logger = logging.getLogger(__name__)

_SMALL = 64 * 1024
_SLICE = 4096


class NodeTranscoder(Transcoder):
    """Converts datasets as they stream.

    Parameters
    ----------
    planner : Planner
    workers : CodecWorkers
        Running.
    tasks : TaskGroup
        In which frames are waited for.
    room : MemoryRoom, optional
        Where long headers get their memory from; they do not ask without it.
    """

    def __init__(
        self,
        planner: Planner,
        workers: CodecWorkers,
        tasks: TaskGroup,
        room: MemoryRoom | None = None,
    ) -> None:
        self._room = room
        self._planner = planner
        self._workers = workers
        self._tasks = tasks

    @property
    def table(self) -> CodecTable:
        """Which codec does what."""
        return self._planner.table

    @property
    def workers(self) -> CodecWorkers:
        """What codecs run in."""
        return self._workers

    def proposals(self, transfer_syntax_uid: str, peer: Peer | None = None) -> tuple[str, ...]:
        """Return the transfer syntaxes worth proposing for an instance, the best first."""
        return self._planner.proposals(transfer_syntax_uid, peer)

    def plan(
        self,
        transfer_syntax_uid: str,
        accepted: Collection[str],
        peer: Peer | None = None,
        image: FrameFormat | None = None,
    ) -> Plan:
        """Choose the form in which an instance goes out."""
        return self._planner.plan(transfer_syntax_uid, accepted, peer, image)

    async def transcode(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Iterate over the dataset in the form that was planned.

        Nothing of an image comes out before all of its frames are converted: more than 16 MiB
        wait in a temporary file. Of a dataset whose elements alone are encoded anew, what fails
        in the first 16 MiB fails before the first chunk.
        """
        # C-STORE has no way to take back what was sent: a sub-operation that fails amid its dataset
        # costs the association. What can fail is therefore held back until it cannot any more.
        pieces = self.stream(plan, dataset)
        if plan.action is Action.TRANSCODE:
            hold = _spool_all if plan.decoder or plan.encoder else _hold_back
            pieces = hold(pieces)
        async with closing(pieces) as chunks:
            async for chunk in chunks:
                yield chunk

    async def stream(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Do the same without holding anything back: for those who can take back what came out.

        Raises
        ------
        TranscodingError
            On iteration, also after some chunks.
        """
        if plan.action is Action.REFUSE:
            raise TranscodingError(plan.reason)
        if plan.action is Action.PASS_THROUGH:
            async for chunk in dataset:
                yield chunk
            return
        try:
            async with closing(_gather(self._pieces(plan, dataset))) as chunks:
                async for chunk in chunks:
                    yield chunk
        # What a peer's dataset can do wrong, as one error that says which conversion failed.
        except FAULTS as error:
            raise TranscodingError(f"{describe_conversion(plan)}: {error}") from error
        except TranscodingError as error:
            raise type(error)(f"{describe_conversion(plan)}: {error}") from error

    async def frames(
        self, frames: AsyncIterable[Frame], accepted: Collection[str], peer: Peer | None = None
    ) -> AsyncIterator[Frame]:
        """Iterate over frames, each in a transfer syntax that is accepted."""
        conversion = FrameConversion(self._planner, FrameQueue(self._workers, self._tasks))
        async with closing(conversion.frames(frames, accepted, peer)) as converted:
            async for frame in converted:
                yield frame

    def _pieces(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        queue = FrameQueue(self._workers, self._tasks)
        # A slice of 4 KiB may inflate to 4 MiB: the event loop must not be held by a chunk.
        if encoding_of(plan.source).deflated:
            dataset = _in_small_steps(dataset)
        codecs = pickle_codecs(plan, self.table)
        return convert_dataset(plan, dataset, queue, codecs, room=self._room)


async def _in_small_steps(dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
    """Let others run between slices of a deflated dataset: each may inflate to 4 MiB."""
    async with closing(dataset) as chunks:
        async for chunk in chunks:
            for start in range(0, len(chunk), _SLICE):
                yield chunk[start : start + _SLICE]
                await checkpoint()


async def _spool_all(pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """Hand out nothing before there is all of it."""
    spool = Spool()
    try:
        async with closing(pieces) as chunks:
            async for chunk in chunks:
                await spool.add(chunk)
        async for chunk in spool.chunks():
            yield chunk
    finally:
        spool.close()


async def _hold_back(pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """Hand out nothing before there is much, or all: what fails until then was not sent."""
    held: list[Buffer] = []
    size = 0
    async with closing(pieces) as chunks:
        async for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size >= MAX_IN_MEMORY:
                break
        for chunk in held:
            yield chunk
        held.clear()
        async for chunk in chunks:
            yield chunk


async def _gather(pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """Join small pieces, such as single elements: each chunk becomes a PDU of its own."""
    small = bytearray()
    async with closing(pieces):
        async for piece in pieces:
            if len(piece) < _SMALL:
                small += piece
            if len(piece) >= _SMALL or len(small) >= _SMALL:
                if small:
                    yield bytes(small)
                    small.clear()
                if len(piece) >= _SMALL:
                    yield piece
    if small:
        yield bytes(small)
