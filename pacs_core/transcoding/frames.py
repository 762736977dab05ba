"""Frames of a dataset, decoded in a worker process."""

from collections.abc import AsyncIterable, AsyncIterator

from attrs import evolve, frozen

from pacs_core.concurrency import closing
from pacs_core.contracts import CodecError, FrameFormat, TranscodingError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    encoding_of,
    parse_attributes,
    short_name_of,
)
from pacs_core.dataset.layout import MAX_DEPTH
from pacs_core.imaging import Image, image_of, is_video, native_format
from pacs_core.transcoding.image_conversion import FAULTS
from pacs_core.transcoding.remedies import remedy
from pacs_core.transcoding.source import MAX_HEADER, Buffer, SourceDataset
from pacs_core.transcoding.table import pickle_creator
from pacs_core.transcoding.transcoder import NodeTranscoder
from pacs_core.transcoding.workers.protocol import Job

# Theory of operation
#
# Mostly one frame is wanted, and datasets are large: reading stops at it, and the source is closed.
# What precedes is walked over, since fragments do not tell which frame they belong to; only an
# archive, which has the whole object at hand, jumps (`imaging.frame_ranges`).
#
# The frame goes through a worker process like any other, even for a single picture: a codec that
# crashes or hangs on a hostile frame must not take the caller with it.

_PIXEL_DATA = 0x7FE0_0010


@frozen
class StoredFrame:
    """A frame, and what its dataset says of it.

    Attributes
    ----------
    data : bytes
        Native samples: by pixel, little endian, in ``format.bits_allocated`` bits each.
    format : FrameFormat
        Its photometric interpretation is RGB where the transfer syntax transforms colours itself.
    number : int
        From 1.
    attributes : Attributes
        What precedes Pixel Data, without values of bulk VRs.
    header : bytes
        The same, encoded in explicit VR little endian, with all values.
    """

    data: bytes
    format: FrameFormat
    number: int
    attributes: Attributes
    header: bytes


async def decode_frame(
    transcoder: NodeTranscoder,
    transfer_syntax_uid: str,
    dataset: AsyncIterable[Buffer],
    number: int = 1,
) -> StoredFrame:
    """Read a frame, and decode it if it is compressed.

    Parameters
    ----------
    transcoder : NodeTranscoder
    transfer_syntax_uid : str
    dataset : async iterable of bytes-like
        No more is read of it than needed; it is closed then.
    number : int
        Of the frame, from 1.

    Raises
    ------
    TranscodingError
        There is no such frame, or it cannot be decoded.
    """
    async with closing(_decode(transcoder, transfer_syntax_uid, dataset, number)) as frames:
        async for frame in frames:
            return frame
    raise TranscodingError(f"Pixel Data end before frame {number}")


async def decode_frames(
    transcoder: NodeTranscoder, transfer_syntax_uid: str, dataset: AsyncIterable[Buffer]
) -> AsyncIterator[StoredFrame]:
    """Iterate over the frames of an image, as `decode_frame` reads one.

    Raises
    ------
    TranscodingError
        It has fewer frames than it says, or one cannot be decoded.
    """
    async with closing(_decode(transcoder, transfer_syntax_uid, dataset, None)) as frames:
        async for frame in frames:
            yield frame


async def _decode(
    transcoder: NodeTranscoder, uid: str, dataset: AsyncIterable[Buffer], wanted: int | None
) -> AsyncIterator[StoredFrame]:
    try:
        async with (
            closing(dataset) as chunks,
            closing(_frames(transcoder, uid, chunks, wanted)) as frames,
        ):
            async for frame in frames:
                yield frame
    except FAULTS as error:
        raise TranscodingError(str(error)) from error


async def _frames(
    transcoder: NodeTranscoder, uid: str, dataset: AsyncIterable[Buffer], wanted: int | None
) -> AsyncIterator[StoredFrame]:
    """Iterate over all frames, or the one that is wanted, as far as there are."""
    source = SourceDataset(uid, dataset)
    header = await source.header()
    if source.pixel_data is None or source.pixel_data.tag != _PIXEL_DATA:
        raise TranscodingError("the dataset has no Pixel Data (7FE0,0010)")
    attributes = parse_attributes(header, EXPLICIT_VR_LITTLE_ENDIAN, MAX_DEPTH, MAX_HEADER)
    image = image_of(attributes)
    if wanted is not None and not 1 <= wanted <= image.frames:
        raise TranscodingError(f"there is no frame {wanted}: the image has {image.frames}")
    job = None if source.pixel_data.length is not None else _job(transcoder, uid, image)
    number = 0
    async with closing(source.frames(image, header)) as frames:
        async for frame in frames:
            number += 1
            if wanted not in {None, number}:
                continue
            data, form = frame, native_format(image)
            if job is not None:
                try:
                    decoded = await transcoder.workers.run(job, frame)
                except CodecError as error:
                    raise TranscodingError(f"frame {number}: {error}") from error
                data, form = bytes(decoded.data), decoded.format
            yield StoredFrame(data, form, number, attributes, header)
            if number == wanted:
                return
    if wanted is None and number < image.frames:
        raise TranscodingError(f"Pixel Data end before frame {number + 1}")


def _job(transcoder: NodeTranscoder, uid: str, image: Image) -> Job | None:
    if not encoding_of(uid).encapsulated:
        return None  # reading will refuse it
    if is_video(uid):
        raise TranscodingError(f"{short_name_of(uid)} is a video, which is not taken apart")
    decoder = transcoder.table.decoder(uid)
    if decoder is None:
        raise TranscodingError(f"no installed codec decodes {short_name_of(uid)}{remedy(uid)}")
    form = evolve(image.format, planar_configuration=0)
    return Job(form, pickle_creator(decoder), low_bits=image.low_bits)
