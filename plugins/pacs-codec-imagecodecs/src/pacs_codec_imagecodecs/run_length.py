"""RLE Lossless (PS3.5 §A.4.2, Annex G), encoded by PackBits."""

from itertools import accumulate
from struct import pack
from typing import Final

import numpy as np
from imagecodecs import packbits_encode

from pacs_codec_imagecodecs.base import call
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_MAX_SEGMENTS: Final = 15
_HEADER: Final = 64


class RunLengthEncoder(Codec):
    """RLE, encoded only. Every bit that is allocated is kept, whatever it means."""

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Refuse: it is registered for encoding alone."""
        raise CodecError("this codec does not decode RLE")

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return header and segments, each a byte of all samples, the most significant first.

        Raises
        ------
        CodecError
            The data is not a frame of this format, or has more than 15 bytes to a pixel.
        """
        size, odd = divmod(frame.bits_allocated, 8)
        count = frame.samples_per_pixel * size
        if odd or count > _MAX_SEGMENTS:
            raise CodecError(f"RLE has 1 to {_MAX_SEGMENTS} whole bytes to a pixel, unlike {frame}")
        if len(data) != frame.size:
            raise CodecError(f"{len(data)} bytes are no frame of {frame.size}")
        samples = np.frombuffer(data, "u1").reshape(frame.rows, frame.columns, -1, size)
        segments = [
            _encode_segment(samples[:, :, sample, byte])
            for sample in range(frame.samples_per_pixel)
            for byte in reversed(range(size))
        ]
        offsets = list(accumulate(map(len, segments[:-1]), initial=_HEADER))
        head = pack(f"<{1 + count}I", count, *offsets).ljust(_HEADER, b"\0")
        return EncodedFrame(b"".join([head, *segments]), frame)


def _encode_segment(plane: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]") -> bytes:
    # Rows of an array are packed one by one: a run does not cross them (PS3.5 §G.3.1).
    packed = call(lambda: packbits_encode(plane.copy()))
    return bytes(packed) + bytes(len(packed) % 2)
