"""RLE, which is only encoded here: the default codec, pydicom and DCMTK read it."""

import itertools

import pytest
from pacs_codec_imagecodecs.run_length import RunLengthEncoder
from pydicom.pixels.decoders.rle import _rle_decode_frame

from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat


def planes(data: bytes, frame: FrameFormat) -> bytes:
    """Return the bytes of a frame as pydicom's decoder has them: little endian, by plane."""
    size = frame.bits_allocated // 8
    step = size * frame.samples_per_pixel
    out = bytearray(len(data))
    pixels = frame.rows * frame.columns
    for sample, byte in itertools.product(range(frame.samples_per_pixel), range(size)):
        start = sample * pixels * size + byte
        out[start : (sample + 1) * pixels * size : size] = data[sample * size + byte :: step]
    return bytes(out)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [(8, 8), (16, 12), (16, 16), (32, 32)])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (3, 129), (130, 257), (2, 128)])
def test_every_bit_comes_back(smooth, signed, bits, samples, shape) -> None:
    name = "RGB" if samples == 3 else "MONOCHROME2"
    frame = FrameFormat(*shape, samples, *bits, signed, name)
    data = smooth(frame).tobytes()
    encoded = RunLengthEncoder().encode(data, frame, EncodeOptions())
    assert encoded.format == frame
    assert len(encoded.data) % 2 == 0
    decoded = _rle_decode_frame(encoded.data, *shape, samples, bits[0], ">")
    assert bytes(decoded) == planes(data, frame)


def test_runs_end_with_their_rows() -> None:
    frame = FrameFormat(4, 100, 1, 8, 8, False, "MONOCHROME2")
    encoded = RunLengthEncoder().encode(bytes(400), frame, EncodeOptions())
    assert encoded.data[64:] == b"\x9d\0" * 4  # 257 - 100 each (PS3.5 §G.3.1)


def test_it_refuses_what_is_no_frame() -> None:
    frame = FrameFormat(2, 2, 1, 8, 8, False, "MONOCHROME2")
    with pytest.raises(CodecError, match="3 bytes are no frame of 4"):
        RunLengthEncoder().encode(bytes(3), frame, EncodeOptions())
    single_bits = FrameFormat(2, 8, 1, 1, 1, False, "MONOCHROME2")
    with pytest.raises(CodecError, match="whole bytes to a pixel"):
        RunLengthEncoder().encode(bytes(2), single_bits, EncodeOptions())
    with pytest.raises(CodecError, match="does not decode"):
        RunLengthEncoder().decode(bytes(64), frame)
