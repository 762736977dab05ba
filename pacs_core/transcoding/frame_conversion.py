"""Single frames of an instance, from one transfer syntax to another."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Collection

from attrs import define, evolve, field

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Action,
    Frame,
    FrameFormat,
    Peer,
    Plan,
    TranscodingError,
)
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from pacs_core.imaging import Image, ImageError, arrange_native, native_format
from pacs_core.transcoding.frame_queue import FrameQueue
from pacs_core.transcoding.planner import Planner
from pacs_core.transcoding.table import pickle_codecs
from pacs_core.transcoding.workers.protocol import Buffer, Job

_NATIVE = frozenset(
    syntax.uid for syntax in ALL_TRANSFER_SYNTAXES if not encoding_of(syntax.uid).encapsulated
)


@define
class FrameConversion:
    """Converts frames, several at once, and hands them out in their order.

    Attributes
    ----------
    planner : Planner
    queue : FrameQueue
        For these frames alone.
    """

    planner: Planner
    queue: FrameQueue
    _under_way: deque[tuple[Frame, str]] = field(factory=deque)
    _plans: dict[tuple[str, FrameFormat], Plan] = field(factory=dict)

    async def frames(
        self, frames: AsyncIterable[Frame], accepted: Collection[str], peer: Peer | None
    ) -> AsyncIterator[Frame]:
        """Iterate over frames, see :meth:`Transcoder.frames`."""
        # Pixels on their own have no other encoding than this one.
        wanted = {EXPLICIT_VR_LITTLE_ENDIAN if uid in _NATIVE else uid for uid in accepted}
        try:
            async with closing(frames) as stored:
                async for frame in stored:
                    plan = self._plan(frame, wanted, peer)
                    if plan.action is Action.REFUSE:
                        raise TranscodingError(f"frame {frame.number}: {plan.reason}")
                    if plan.action is Action.PASS_THROUGH:
                        yield frame
                        continue
                    if self.queue.is_full:
                        yield await self._take()
                    self._put(frame, plan)
                while not self.queue.is_empty:
                    yield await self._take()
        finally:
            self.queue.cancel()

    def _plan(self, frame: Frame, accepted: Collection[str], peer: Peer | None) -> Plan:
        key = frame.transfer_syntax_uid, frame.format
        if key not in self._plans:
            self._plans[key] = self.planner.plan(key[0], accepted, peer, frame.format)
        return self._plans[key]

    def _put(self, frame: Frame, plan: Plan) -> None:
        coders = pickle_codecs(plan, self.planner.table)
        data: Buffer = frame.data
        form = evolve(frame.format, planar_configuration=0)
        if frame.transfer_syntax_uid in _NATIVE:
            image = Image(frame.format, 1, frame.low_bits)
            try:
                data, form = arrange_native(frame.data, image), native_format(image)
            except ImageError as error:
                raise TranscodingError(f"frame {frame.number}: {error}") from error
        job = Job(
            form,
            coders.decoder,
            coders.encoder,
            plan.options,
            plan.target if plan.recompress else "",
            frame.low_bits if coders.decoder else 0,
            coders.proof,
            plan.source if plan.recompress else "",
        )
        self.queue.put(job, data)
        self._under_way.append((evolve(frame, data=b""), plan.target))

    async def _take(self) -> Frame:
        frame, target = self._under_way.popleft()
        try:
            converted = await self.queue.take()
        except TranscodingError as error:
            # The queue counts frames from the first that it was given.
            reason = str(error).partition(": ")[2]
            raise type(error)(f"frame {frame.number}: {reason}") from error
        return Frame(frame.number, bytes(converted.data), target, converted.format)
