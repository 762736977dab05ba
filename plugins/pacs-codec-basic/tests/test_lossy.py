"""Loss only where it is asked for, as much as is asked for."""

from math import log10

import pytest
from pacs_codec_basic import pacs_codecs
from pacs_codec_basic.jpegls import near_of

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.testing.codec_contract import frame_format, pictures

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}
LOSSLESS = ["basic-jpeg-2000-lossless", "basic-jpeg-ls-lossless", "basic-rle"]
LOSSY = ["basic-jpeg-2000", "basic-jpeg-ls"]


def smooth(frame):
    """Return a frame that noise covers in its lowest bits."""
    top = (1 << frame.bits_stored) - 1
    width = frame.bits_allocated // 8
    noise = pictures(frame)["noise"].data[::width]
    count = len(noise)
    values = (top * n // count // 2 + byte % 16 for n, byte in enumerate(noise))
    return b"".join(value.to_bytes(width, "little") for value in values)


def error(one, other, code):
    pairs = zip(memoryview(one).cast(code), memoryview(other).cast(code), strict=True)
    return max(abs(a - b) for a, b in pairs)


@pytest.mark.parametrize("name", LOSSLESS)
def test_options_do_not_touch_lossless_syntaxes(name):
    codec, frame = CODECS[name].create(), frame_format(40, 40, bits=16, stored=12)
    data = smooth(frame)
    plain = codec.encode(data, frame, EncodeOptions())
    assert codec.encode(data, frame, EncodeOptions(quality=1, ratio=100)) == plain


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("ratio", [4, 8, 20])
def test_a_ratio_is_met(name, ratio):
    codec, frame = CODECS[name].create(), frame_format(256, 256)
    data = smooth(frame)
    encoded = codec.encode(data, frame, EncodeOptions(ratio=ratio))
    assert len(encoded.data) <= frame.size / ratio * 1.05
    assert codec.decode(encoded.data, encoded.format).format == frame


@pytest.mark.parametrize("name", LOSSY)
def test_less_quality_is_less_data(name):
    codec, frame = CODECS[name].create(), frame_format(128, 128, bits=16, stored=12)
    data = smooth(frame)
    qualities = [EncodeOptions(quality=quality) for quality in (0, 50, 90)]
    sizes = [len(codec.encode(data, frame, options).data) for options in qualities]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(("quality", "decibel"), [(0, 30), (50, 45), (100, 60)])
def test_quality_of_jpeg_2000_is_signal_to_noise(quality, decibel):
    codec, frame = CODECS["basic-jpeg-2000"].create(), frame_format(256, 256, bits=16, stored=12)
    data = smooth(frame)
    encoded = codec.encode(data, frame, EncodeOptions(quality=quality))
    decoded = codec.decode(encoded.data, encoded.format).data
    pairs = zip(memoryview(data).cast("H"), memoryview(decoded).cast("H"), strict=True)
    noise = sum((a - b) ** 2 for a, b in pairs) / (256 * 256)
    assert 10 * log10(4095**2 / noise) == pytest.approx(decibel, abs=4)


def test_irreversible_colours_are_ybr_ict():
    codec, frame = CODECS["basic-jpeg-2000"].create(), frame_format(64, 64, colour=True)
    encoded = codec.encode(smooth(frame), frame, EncodeOptions(ratio=10))
    assert encoded.format.photometric_interpretation == "YBR_ICT"
    decoded = codec.decode(encoded.data, encoded.format)
    assert decoded.format == frame
    assert error(smooth(frame), decoded.data, "B") < 64


def test_near_lossless_is_near():
    codec, frame = CODECS["basic-jpeg-ls"].create(), frame_format(64, 64)
    data = pictures(frame)["noise"].data
    for quality, near in ((100, 0), (75, 1), (50, 2), (0, 4)):
        assert near_of(quality, 8) == near
        encoded = codec.encode(data, frame, EncodeOptions(quality=quality))
        assert error(data, codec.decode(encoded.data, frame).data, "B") == near


def test_signed_samples_are_never_near_lossless():
    """Else the least value could become the greatest: to JPEG-LS they are neighbours."""
    codec, frame = CODECS["basic-jpeg-ls"].create(), frame_format(16, 16, bits=16, signed=True)
    data = pictures(frame)["noise"].data
    encoded = codec.encode(data, frame, EncodeOptions(quality=0))
    assert codec.decode(encoded.data, frame).data == data


def test_narrow_images_are_reversible():
    codec, frame = CODECS["basic-jpeg-2000"].create(), frame_format(31, 200)
    data = pictures(frame)["noise"].data
    encoded = codec.encode(data, frame, EncodeOptions(ratio=50))
    assert codec.decode(encoded.data, frame).data == data


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize(
    "options",
    [
        EncodeOptions(ratio=0.5),
        EncodeOptions(ratio=float("nan")),
        EncodeOptions(ratio=float("inf")),
        EncodeOptions(quality=-1),
        EncodeOptions(quality=101),
        EncodeOptions(quality=float("nan")),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    frame = frame_format()
    with pytest.raises(CodecError, match=r"ratio|quality"):
        CODECS[name].create().encode(bytes(frame.size), frame, options)
