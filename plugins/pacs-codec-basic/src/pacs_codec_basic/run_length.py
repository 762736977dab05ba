"""RLE Lossless (PS3.5 §A.4.2, Annex G)."""

from typing import Final

from rle.rle import decode_frame, encode_frame

from pacs_codec_basic.checks import library_errors, require_data, require_format
from pacs_codec_basic.rle_header import MAX_SEGMENTS, require_plausible, segment_offsets
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_ALLOCATED: Final = (8, 16, 32)


class RunLengthCodec(Codec):
    """RLE by pylibjpeg-rle. Every bit that is allocated is kept, whatever it means."""

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Expand the segments, each a byte of all samples, the most significant first.

        Raises
        ------
        CodecError
            The header is wrong, or a segment does not hold one byte for each pixel.
        """
        require_format(frame, _ALLOCATED)
        pixels = frame.rows * frame.columns
        offsets = segment_offsets(codestream, _segments(frame))
        require_plausible(codestream, offsets, pixels)
        with library_errors("expand the RLE frame"):
            planes = decode_frame(codestream, pixels, frame.bits_allocated, "<")
        if len(planes) != frame.size:
            raise CodecError(f"the RLE frame holds {len(planes)} bytes, not {frame.size}")
        if frame.samples_per_pixel == 1:
            return DecodedFrame(bytes(planes), frame)
        # The library returns plane after plane. NumPy is imported for colour only: grey frames,
        # which are most, do without.
        from pacs_codec_basic.samples import interleave

        samples = interleave(planes, frame.samples_per_pixel, frame.bits_allocated // 8)
        return DecodedFrame(samples, frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return header and segments; rows do not share a run (PS3.5 §G.3.1).

        Raises
        ------
        CodecError
            The data is not a frame of this format.
        """
        require_format(frame, _ALLOCATED)
        require_data(data, frame)
        _segments(frame)
        with library_errors("encode the frame with RLE"):
            codestream = encode_frame(
                data, frame.rows, frame.columns, frame.samples_per_pixel, frame.bits_allocated, "<"
            )
        return EncodedFrame(bytes(codestream), frame)


def _segments(frame: FrameFormat) -> int:
    count = frame.samples_per_pixel * frame.bits_allocated // 8
    if count > MAX_SEGMENTS:
        raise CodecError(f"{count} segments, and RLE has at most {MAX_SEGMENTS}")
    return count
