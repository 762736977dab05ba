"""The codec that the example of ``pacs_codecs`` imports: RLE Lossless of one segment."""

from itertools import groupby

from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)


class RunLengthCodec(Codec):
    """PackBits (PS3.5 §G.3.1) behind a header of one segment (PS3.5 §G.5)."""

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        data, position = bytearray(), 64
        while position + 1 < len(codestream) and len(data) < frame.size:
            control = codestream[position]
            if control < 128:
                data += codestream[position + 1 : position + 2 + control]
                position += 2 + control
            else:
                data += codestream[position + 1 : position + 2] * (257 - control)
                position += 2
        if len(data) != frame.size:
            raise CodecError(f"{len(data)} bytes where {frame.size} are due")
        return DecodedFrame(bytes(data), frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
        runs = ((value, len(list(run))) for value, run in groupby(data))
        packed = b"".join(_packed(value, length) for value, length in runs)
        return EncodedFrame(header + packed + bytes(len(packed) % 2), frame)


def _packed(value: int, length: int) -> bytes:
    whole, rest = divmod(length, 128)
    last = bytes((257 - rest, value)) if rest > 1 else bytes((0, value)) * rest
    return bytes((129, value)) * whole + last
