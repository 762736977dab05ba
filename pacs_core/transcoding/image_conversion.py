"""Images of a dataset from one transfer syntax to another, frame by frame."""

import logging
from collections.abc import AsyncIterator
from typing import Final, Protocol

from attrs import define, evolve

from pacs_core.concurrency import closing
from pacs_core.contracts import Action, CodecError, FrameFormat, Plan, TranscodingError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    HeaderScanner,
    MalformedDataset,
    PixelDataElement,
    UnencodableValue,
    edit_header,
    element_header,
    element_value,
    encoding_of,
    short_name_of,
    tag_of,
    texts,
)
from pacs_core.imaging import (
    CONVERSION_TAGS,
    SEQUENCE_END,
    Image,
    ImageError,
    LossyCompression,
    NativeWriter,
    check_format,
    conversion_edits,
    encapsulate,
    extended_offset_table,
    frame_item,
    image_of,
    is_lossless,
    native_format,
    native_length,
)
from pacs_core.transcoding.nested import may_hold_nested_pixels, replace_nested_pixels
from pacs_core.transcoding.source import (
    MAX_HEADER,
    Buffer,
    SourceDataset,
)
from pacs_core.transcoding.spool import MAX_IN_MEMORY, Spool
from pacs_core.transcoding.workers.protocol import Coders, ConvertedFrame, Job

# Theory of operation
#
# A dataset is read once, from front to back, and written from front to back. What comes before
# Pixel Data, the header, is held in memory, because attributes in it depend on the frames:
# Photometric Interpretation, Bits Allocated, offset tables, the ratio of a lossy compression. How
# long it is held depends on the target:
#
#   native        The first converted frame tells the format, and the length of Pixel Data follows
#                 from it. So the header goes out with the first frame, and frames as they come.
#   encapsulated  The Basic Offset Table stands before the frames and holds the lengths of all of
#                 them (PS3.5 A.4), and so does Lossy Image Compression Ratio (PS3.3 C.7.6.1.1.5).
#                 So all codestreams are made first: the first 16 MiB of them wait in memory, the
#                 rest in a temporary file.
#
# All frames must have one format, since the dataset can name only one: a codec that makes another
# of a later frame ends the conversion.
#
# Encapsulated pixels within sequences (icons) are in the transfer syntax of the dataset, too, and
# would be unreadable under another. They become native, each by a conversion of its own over the
# elements of its item; a sequence whose item cannot be converted is left out, and logged, because
# an image without its icon is worth more than no image.
#
# Elements after Pixel Data are recoded like those before it. They may be edited by nobody here.

_log = logging.getLogger(__name__)

_PIXEL_DATA: Final = 0x7FE0_0010
_SOP_INSTANCE_UID: Final = tag_of("SOPInstanceUID")
_EXPLICIT: Final = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)


FAULTS: Final = (MalformedDataset, UnencodableValue, ImageError, CodecError)
"""What is wrong with a dataset that cannot be converted."""


class FrameConverter(Protocol):
    """Has frames converted, several at once perhaps: out in the order they went in."""

    @property
    def is_full(self) -> bool:
        """Whether a frame should be taken before another is put."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no frame to take."""

    def put(self, job: Job, frame: Buffer) -> None:
        """Send a frame on its way."""

    async def take(self) -> ConvertedFrame:
        """Wait for the frame that went in first."""

    def require_log(self) -> None:
        """Say that something may have to be logged, which not all processes can."""

    def cancel(self) -> None:
        """Give up all frames that are on their way."""


@define
class ImageConversion:
    """Decodes or encodes the frames of a dataset, or both; or recompresses them.

    What comes out is explicit VR little endian, whatever native transfer syntax is the target.

    Attributes
    ----------
    plan : Plan
    source : SourceDataset
    queue : FrameConverter
    coders : Coders
    max_in_memory : int
        As `convert_dataset` has it.
    """

    plan: Plan
    source: SourceDataset
    queue: FrameConverter
    coders: Coders
    max_in_memory: int = MAX_IN_MEMORY

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Iterate over the converted dataset."""
        try:
            async with closing(self._chunks()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self.source.release()

    async def _chunks(self) -> AsyncIterator[Buffer]:
        header = await self._without_nested_pixels(await self.source.header())
        element = self.source.pixel_data
        if element is None:
            yield header
            return
        if element.tag != _PIXEL_DATA:
            async for piece in self._pass_floats(header, element):
                yield piece
            return
        scanner = HeaderScanner(EXPLICIT_VR_LITTLE_ENDIAN, CONVERSION_TAGS, MAX_HEADER, MAX_HEADER)
        scanner.feed(header)
        write = self._write_encapsulated if self.coders.encoder else self._write_native
        image = image_of(scanner.attributes)
        written = write(header, scanner.attributes, image)
        async with closing(written) as pieces:
            async for piece in pieces:
                yield piece
        if notes := (*image.notes, *self.source.notes):
            _log.warning("%s has odd Pixel Data: %s", _instance_in(header), "; ".join(notes))
        async for piece in self.source.elements_after_pixels():
            yield piece

    async def _without_nested_pixels(self, header: bytes) -> bytes:
        """Return what precedes Pixel Data with native icons in the place of encapsulated ones."""
        if not may_hold_nested_pixels(header):
            return header
        self.queue.require_log()
        # Finding and replacing are two passes, since converting is asynchronous and walking a
        # header is not. Items are told apart by their bytes: equal ones have equal results.
        found: dict[bytes, int] = {}

        def find(item: bytes, sequence: int) -> bytes:
            found[item] = sequence
            return item

        replace_nested_pixels(header, find)
        name = _instance_in(header)
        items = {item: await self._native_item(item, tag, name) for item, tag in found.items()}
        return replace_nested_pixels(header, lambda item, _: items.get(item))

    async def _native_item(self, item: bytes, sequence: int, instance: str) -> bytes | None:
        """Return an item with native Pixel Data; None if it cannot be had."""
        uid = self.plan.source
        plan = Plan(Action.TRANSCODE, uid, EXPLICIT_VR_LITTLE_ENDIAN)
        source = SourceDataset(uid, _once(item))
        conversion = ImageConversion(plan, source, self.queue, Coders(self.coders.decoder))
        try:
            async with closing(conversion.chunks()) as pieces:
                return b"".join([bytes(piece) async for piece in pieces])
        except (*FAULTS, TranscodingError) as error:
            _log.warning(
                "%s is converted without its sequence (%04X,%04X): of the %s image in it, %s",
                instance,
                sequence >> 16,
                sequence & 0xFFFF,
                short_name_of(uid),
                error,
            )
            return None

    async def _pass_floats(self, header: bytes, element: PixelDataElement) -> AsyncIterator[Buffer]:
        if self.coders.encoder or element.length is None:
            raise TranscodingError(
                f"pixels are floating point numbers ({element.tag >> 16:04X},"
                f"{element.tag & 0xFFFF:04X}), which are not compressed (PS3.5 A.4)"
            )
        yield header
        yield element_header(element.tag, element.vr, element.length, EXPLICIT_VR_LITTLE_ENDIAN)
        async for piece in self.source.value():
            yield piece

    async def _convert_frames(self, header: bytes, image: Image) -> AsyncIterator[ConvertedFrame]:
        plan, coders = self.plan, self.coders
        # Pixels of defined length are native even under an encapsulated transfer syntax, as
        # icons and some senders have them: then there is nothing to decode.
        decoder = b"" if self._is_native else coders.decoder
        # Codestreams have their samples by pixel, whatever the dataset says (PS3.5 §8.2).
        given = evolve(image.format, planar_configuration=0)
        if self._is_native:
            given = native_format(image)
        job = Job(
            given,
            decoder,
            coders.encoder,
            plan.options,
            plan.target if plan.recompress else "",
            image.low_bits if decoder else 0,
            coders.proof,
            plan.source if plan.recompress else "",
        )
        try:
            async with closing(self.source.frames(image, header)) as frames:
                async for frame in frames:
                    if self.queue.is_full:
                        yield await self.queue.take()
                    self.queue.put(job, frame)
            while not self.queue.is_empty:
                yield await self.queue.take()
        finally:
            self.queue.cancel()

    @property
    def _is_native(self) -> bool:
        """Whether frames are as the pixels are, whatever the transfer syntax (PS3.5 A.4)."""
        element = self.source.pixel_data
        return element is not None and element.length is not None

    async def _write_native(
        self, header: bytes, attributes: Attributes, image: Image
    ) -> AsyncIterator[Buffer]:
        writer: NativeWriter | None = None
        async with closing(self._convert_frames(header, image)) as converted:
            async for frame in converted:
                if writer is None:
                    writer = NativeWriter(frame.format, image.frames, _EXPLICIT)
                    yield self._edit_header(header, attributes, image, frame.format)
                    yield writer.header
                _check_same(frame.format, writer.format)
                yield writer.add(bytes(frame.data))
        if writer is not None:
            yield writer.finish()

    async def _write_encapsulated(
        self, header: bytes, attributes: Attributes, image: Image
    ) -> AsyncIterator[Buffer]:
        spool = Spool(self.max_in_memory)
        try:
            form = await self._spool_frames(spool, header, image)
            yield self._edit_header(header, attributes, image, form, spool.lengths)
            yield encapsulate(spool.lengths)
            async for frame in spool.chunks():
                head, _, padding = frame_item(frame)
                yield head
                yield frame
                yield padding
            yield SEQUENCE_END
        finally:
            spool.close()

    async def _spool_frames(self, spool: Spool, header: bytes, image: Image) -> FrameFormat:
        form: FrameFormat | None = None
        async with closing(self._convert_frames(header, image)) as converted:
            async for frame in converted:
                if form is None:
                    form = frame.format
                    check_format(form, self.plan.target)
                _check_same(frame.format, form)
                await spool.add(frame.data)
        if form is None:
            raise TranscodingError("Pixel Data have no frame")
        return form

    def _edit_header(
        self,
        header: bytes,
        attributes: Attributes,
        image: Image,
        form: FrameFormat,
        lengths: list[int] | None = None,
    ) -> bytes:
        plan = self.plan
        lossy = None
        if lengths and not (plan.recompress or is_lossless(plan.target)):
            stored = next(iter(texts(attributes, _SOP_INSTANCE_UID)), "")
            new_uid = plan.sop_instance_uid(stored) if plan.new_uid else ""
            lossy = LossyCompression(native_length(image) / sum(lengths), new_uid)
        edits = conversion_edits(
            attributes, plan.source, plan.target, image.format, form, lossy=lossy
        )
        tables = extended_offset_table(lengths) if lengths else {}
        return edit_header(header, EXPLICIT_VR_LITTLE_ENDIAN, {**edits, **tables})


def _instance_in(header: bytes) -> str:
    uid = bytes(element_value(header, EXPLICIT_VR_LITTLE_ENDIAN, _SOP_INSTANCE_UID) or b"?")
    return repr(uid.rstrip(b" \0").decode("ascii", "replace")).strip("'")


async def _once(data: bytes) -> AsyncIterator[Buffer]:
    yield data


def _check_same(form: FrameFormat, first: FrameFormat) -> None:
    if form != first:
        raise TranscodingError(f"one frame is {first}, another {form}: no dataset can say both")
