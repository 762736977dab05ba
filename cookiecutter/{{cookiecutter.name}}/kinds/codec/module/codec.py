"""Frames that are deflated streams of their own (PS3.5 A.4.13)."""

import zlib
from typing import Final

from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression."""

_RAW: Final = -zlib.MAX_WBITS
"""A stream as of RFC 1951, without the header and checksum of zlib."""


class DeflateCodec(Codec):
    """Deflates bytes, whatever pixels they hold: no attribute of the image matters.

    Parameters
    ----------
    level : int
        From 1, fast, to 9, small.
    """

    def __init__(self, level: int = 6) -> None:
        self._level = level

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Inflate a frame; never more than the frame's size is held.

        Raises
        ------
        CodecError
            It is no deflated stream, or not of a frame of this size.
        """
        if not frame.size:  # for zlib, a limit of 0 is none
            raise CodecError("a frame without pixels")
        stream = zlib.decompressobj(_RAW)
        try:
            data = stream.decompress(codestream, frame.size)
            excess = stream.decompress(stream.unconsumed_tail, 1)
        except zlib.error as error:
            raise CodecError(f"not a deflated frame: {error}") from error
        if not stream.eof:
            raise CodecError(f"the deflated frame does not end, or exceeds {frame.size} bytes")
        if excess or len(data) != frame.size:
            raise CodecError(f"a frame of {len(data)} bytes, not of {frame.size}")
        return DecodedFrame(data, frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Deflate a frame, to an even number of bytes.

        Raises
        ------
        CodecError
            The data is not a frame of this format.
        """
        if len(data) != frame.size:
            raise CodecError(f"{len(data)} bytes are no frame of {frame.size}")
        stream = zlib.compressobj(self._level, wbits=_RAW)
        codestream = stream.compress(data) + stream.flush()
        return EncodedFrame(codestream + bytes(len(codestream) % 2), frame)
