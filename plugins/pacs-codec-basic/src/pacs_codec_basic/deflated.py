"""Frames in their native form: deflated (PS3.5 §A.4.13), or as they are (PS3.5 §A.4.11)."""

import zlib
from typing import Final

from pacs_codec_basic.checks import require_data
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_RAW: Final = -zlib.MAX_WBITS
"""A stream as of RFC 1951, without the header and checksum of zlib."""
_LEVEL: Final = 6
_MAX_EXPANSION: Final = 1032
"""Deflate makes at most 1032 bytes of one."""


class DeflateCodec(Codec):
    """Deflates bytes, whatever pixels they hold: no attribute of the image matters."""

    takes_packed_bits = True

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Inflate a frame; never more than the frame's size is held.

        Raises
        ------
        CodecError
            It is no deflated stream, or not of a frame of this size.
        """
        if not 0 < frame.size <= len(codestream) * _MAX_EXPANSION:  # for zlib, 0 is no limit
            raise CodecError(f"{len(codestream)} deflated bytes are no frame of {frame.size}")
        stream = zlib.decompressobj(_RAW)
        try:
            data = stream.decompress(codestream, frame.size)
            excess = stream.decompress(stream.unconsumed_tail, 1)
        except zlib.error as error:
            raise CodecError(f"not a deflated frame: {error}") from error
        if excess or (not stream.eof and len(data) == frame.size):
            raise CodecError(f"the deflated frame exceeds {frame.size} bytes, or does not end")
        if len(data) != frame.size:
            raise CodecError(f"the deflated frame ends after {len(data)} bytes of {frame.size}")
        return DecodedFrame(data, frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Deflate a frame, to an even number of bytes.

        Raises
        ------
        CodecError
            The data is not a frame of this format.
        """
        require_data(data, frame)
        stream = zlib.compressobj(_LEVEL, wbits=_RAW)
        codestream = stream.compress(data) + stream.flush()
        return EncodedFrame(codestream + bytes(len(codestream) % 2), frame)


class UncompressedCodec(Codec):
    """Encapsulated Uncompressed Explicit VR Little Endian: one native frame in its fragments."""

    takes_packed_bits = True

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return the frame without the byte that may pad it.

        Raises
        ------
        CodecError
            It has another size.
        """
        size = frame.size
        if not size or len(codestream) not in (size, size + size % 2):
            raise CodecError(f"a fragment of {len(codestream)} bytes is no frame of {size}")
        return DecodedFrame(bytes(codestream[:size]), frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return the frame, padded to an even number of bytes.

        Raises
        ------
        CodecError
            The data is not a frame of this format.
        """
        require_data(data, frame)
        return EncodedFrame(bytes(data) + bytes(len(data) % 2), frame)
