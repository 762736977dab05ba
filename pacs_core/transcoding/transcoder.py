"""The node's transcoder: plans by the configuration, converts in worker processes."""

import logging
import pickle
from collections.abc import AsyncIterable, AsyncIterator, Collection

from anyio.abc import TaskGroup

from pacs_core.contracts import (
    Action,
    CodecDescriptor,
    CodecError,
    Peer,
    Plan,
    Transcoder,
    TranscodingError,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    UnencodableValue,
    encoding_of,
    short_name_of,
)
from pacs_core.imaging import ImageError
from pacs_core.transcoding.conversion import ImageConversion, recoded
from pacs_core.transcoding.conveyor import Conveyor
from pacs_core.transcoding.planner import Planner
from pacs_core.transcoding.source import Buffer, SourceDataset
from pacs_core.transcoding.spool import MAX_IN_MEMORY
from pacs_core.transcoding.streams import closing
from pacs_core.transcoding.table import CodecTable
from pacs_core.transcoding.workers import CodecWorkers

logger = logging.getLogger(__name__)


class NodeTranscoder(Transcoder):
    """Converts datasets as they stream.

    Parameters
    ----------
    planner : Planner
    workers : CodecWorkers
        Running.
    tasks : TaskGroup
        In which frames are waited for.
    """

    def __init__(self, planner: Planner, workers: CodecWorkers, tasks: TaskGroup) -> None:
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
        self, transfer_syntax_uid: str, accepted: Collection[str], peer: Peer | None = None
    ) -> Plan:
        """Choose the form in which an instance goes out."""
        return self._planner.plan(transfer_syntax_uid, accepted, peer)

    async def transcode(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Iterate over the dataset in the form that was planned.

        What fails in the first 16 MiB of what comes out fails before the first chunk; what is
        compressed fails before that whatever its size.
        """
        if plan.action is Action.REFUSE:
            raise TranscodingError(plan.reason)
        if plan.action is Action.PASS_THROUGH:
            async for chunk in dataset:
                yield chunk
            return
        try:
            async with closing(_held_back(self._pieces(plan, dataset))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except _FAULTS as error:
            raise TranscodingError(f"{_way(plan)}: {error}") from error
        except TranscodingError as error:
            raise type(error)(f"{_way(plan)}: {error}") from error

    def _pieces(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        source, target = encoding_of(plan.source), encoding_of(plan.target)
        if not (source.encapsulated or target.encapsulated):
            return recoded(plan.source, plan.target, dataset)
        pieces = self._conversion(plan, dataset).chunks()
        if target.encapsulated or plan.target == EXPLICIT_VR_LITTLE_ENDIAN:
            return pieces
        return recoded(EXPLICIT_VR_LITTLE_ENDIAN, plan.target, pieces)

    def _conversion(self, plan: Plan, dataset: AsyncIterable[Buffer]) -> ImageConversion:
        table = self.table
        decoder = table.decoder(plan.source) if plan.decoder else None
        encoder = table.encoder(plan.target) if plan.encoder else None
        return ImageConversion(
            plan,
            SourceDataset(plan.source, dataset),
            Conveyor(self._workers, self._tasks),
            _pickled(decoder),
            _pickled(encoder),
        )


_FAULTS = (MalformedDataset, UnencodableValue, ImageError, CodecError)


def _pickled(descriptor: CodecDescriptor | None) -> bytes:
    return pickle.dumps(descriptor.create) if descriptor is not None else b""


def _way(plan: Plan) -> str:
    return f"cannot convert {short_name_of(plan.source)} to {short_name_of(plan.target)}"


async def _held_back(pieces: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    """Hand out nothing before there is much, or all: what fails until then was not sent."""
    held: list[Buffer] = []
    size = 0
    async with closing(pieces):
        async for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= MAX_IN_MEMORY:
                break
        for piece in held:
            yield piece
        held.clear()
        async for piece in pieces:
            yield piece
