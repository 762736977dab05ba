"""Quality and ratio of lossy codecs, and what becomes of colours."""

import numpy as np
import pytest
from attrs import evolve
from imagecodecs import jpeg8_encode

from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.testing.codec_contract import frame_format

LOSSY = ["50", "51", "81", "91", "112", "203"]
DEEP = ["51", "81", "91", "112", "203"]
GREY = frame_format(96, 80)
DEEP_GREY = frame_format(96, 80, bits=16, stored=12)
COLOUR = frame_format(96, 80, colour=True)
NAMES = {
    "50": "YBR_FULL_422",
    "51": "YBR_FULL_422",
    "81": "RGB",
    "91": "YBR_ICT",
    "112": "XYB",
    "203": "YBR_ICT",
}


@pytest.fixture
def coded(codec_of, smooth, array_of):
    """Return a function that encodes waves, and returns length, mean error, and the format."""

    def code(syntax, frame, **options):
        codec, before = codec_of(syntax), smooth(frame)
        encoded = codec.encode(before.tobytes(), frame, EncodeOptions(**options))
        after = array_of(codec.decode(encoded.data, encoded.format))
        error = np.abs(after.astype(int) - before).mean() / (1 << frame.bits_stored)
        assert after.max() < 1 << frame.bits_stored
        return len(encoded.data), error, encoded.format

    return code


@pytest.mark.parametrize("syntax", LOSSY)
def test_more_quality_is_more_bytes_and_less_error(coded, syntax) -> None:
    frame = DEEP_GREY if syntax in DEEP else GREY
    lengths, errors, _ = zip(*(coded(syntax, frame, quality=q) for q in (10, 60, 99)), strict=True)
    assert list(lengths) == sorted(set(lengths))
    assert list(errors) == sorted(set(errors), reverse=True)
    assert errors[-1] < 0.002


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_ratio_is_reached_with_the_best_quality_that_does(coded, syntax) -> None:
    frame = DEEP_GREY if syntax in DEEP else GREY
    for ratio in (4, 8):
        length, error, _ = coded(syntax, frame, ratio=ratio, quality=1)
        assert frame.size / length >= ratio
        assert error < 0.05


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_ratio_beyond_reach_gives_the_smallest(coded, syntax) -> None:
    length, _, _ = coded(syntax, GREY, ratio=1e9)
    assert length == coded(syntax, GREY, quality=0)[0]


@pytest.mark.parametrize("syntax", LOSSY)
def test_colours_survive_under_the_name_that_they_get(coded, syntax) -> None:
    _, error, after = coded(syntax, COLOUR, quality=95)
    assert after == evolve(COLOUR, photometric_interpretation=NAMES[syntax])
    assert error < 0.01


@pytest.mark.parametrize("syntax", ["81", "91", "203"])
def test_signed_samples_survive_a_loss(coded, syntax) -> None:
    _, error, _ = coded(syntax, evolve(DEEP_GREY, is_signed=True), quality=90)
    assert error < 0.01


def test_near_lossless_samples_stay_within_bits_stored(codec_of, array_of) -> None:
    """The codestream's precision would let them out, so that they are kept from the ends."""
    codec, half = codec_of("81"), 1 << 11
    for signed, low, high in ((False, 0, 2 * half - 1), (True, -half, half - 1)):
        frame = evolve(DEEP_GREY, is_signed=signed)
        ends = np.where(np.random.default_rng(1).random((96, 80)) < 0.5, low, high)
        data = ends.astype("<i2").tobytes()
        encoded = codec.encode(data, frame, EncodeOptions(quality=0))
        after = array_of(codec.decode(encoded.data, frame))
        assert low <= after.min() <= after.max() <= high


@pytest.mark.parametrize("name", ["YBR_FULL", "YBR_FULL_422"])
def test_chroma_is_not_transformed_again_for_jpeg(codec_of, array_of, smooth, name) -> None:
    """Neutral chroma is grey, whatever the luminance is (PS3.3 C.7.6.3.1.2)."""
    frame = evolve(COLOUR, photometric_interpretation=name)
    pixels = np.full((96, 80, 3), 128, "u1")
    pixels[..., 0] = smooth(GREY)
    encoded = codec_of("50").encode(pixels.tobytes(), frame, EncodeOptions(quality=95))
    assert encoded.format.photometric_interpretation == "YBR_FULL_422"
    decoded = codec_of("50").decode(encoded.data, encoded.format)
    assert decoded.format.photometric_interpretation == "RGB"
    assert np.abs(array_of(decoded).astype(int) - pixels[..., :1]).max() <= 4


def test_the_codestream_says_whether_components_are_chroma(codec_of, array_of, smooth) -> None:
    """JFIF is always YCbCr, whatever Photometric Interpretation was left at."""
    encoded = codec_of("50").encode(smooth(COLOUR).tobytes(), COLOUR, EncodeOptions(quality=95))
    assert b"JFIF" in encoded.data[:20]
    expected = array_of(codec_of("50").decode(encoded.data, encoded.format))
    claimed = evolve(encoded.format, photometric_interpretation="RGB")
    assert np.array_equal(array_of(codec_of("50").decode(encoded.data, claimed)), expected)


def test_an_adobe_marker_says_that_components_are_rgb(codec_of, array_of, smooth) -> None:
    pixels = smooth(COLOUR)
    adobe = bytes(jpeg8_encode(pixels, 95, colorspace="RGB", outcolorspace="RGB"))
    assert b"Adobe" in adobe
    for name in ("RGB", "YBR_FULL_422", "YBR_FULL"):
        decoded = codec_of("50").decode(adobe, evolve(COLOUR, photometric_interpretation=name))
        assert decoded.format.photometric_interpretation == "RGB"
        assert np.abs(array_of(decoded).astype(int) - pixels).max() <= 12


def test_the_dataset_says_it_where_the_codestream_does_not(codec_of, array_of, smooth) -> None:
    encoded = codec_of("50").encode(smooth(COLOUR).tobytes(), COLOUR, EncodeOptions(quality=95))
    bare = encoded.data.replace(encoded.data[2:20], b"", 1)
    assert b"JFIF" not in bare
    rgb = array_of(codec_of("50").decode(bare, encoded.format))
    claimed = evolve(encoded.format, photometric_interpretation="RGB")
    raw = array_of(codec_of("50").decode(bare, claimed)).astype(int)
    red = raw[..., 0] + 1.402 * (raw[..., 2] - 128)
    assert np.abs(np.clip(red, 0, 255) - rgb[..., 0]).max() <= 1


@pytest.mark.parametrize("syntax", LOSSY)
@pytest.mark.parametrize("options", [{"quality": 101}, {"quality": -1}, {"ratio": 0.5}])
def test_options_that_mean_nothing_are_refused(codec_of, syntax, options) -> None:
    (name, value), *_ = options.items()
    with pytest.raises(CodecError, match=f"{name} of {value}"):
        codec_of(syntax).encode(bytes(GREY.size), GREY, EncodeOptions(**options))


@pytest.mark.parametrize("syntax", ["81", "91", "112", "203"])
def test_stray_bits_are_not_coded_lossily(codec_of, syntax) -> None:
    with pytest.raises(CodecError, match="exceed their 12 bits"):
        codec_of(syntax).encode(b"\xff" * DEEP_GREY.size, DEEP_GREY, EncodeOptions())


@pytest.mark.parametrize("syntax", ["50", "51"])
def test_lossy_jpeg_holds_the_depths_of_its_table_only(codec_of, syntax) -> None:
    """PS3.5 Table 8.2.1-1."""
    for bits, stored in ((8, 7), (16, 8), (16, 10), (16, 16)):
        frame = frame_format(bits=bits, stored=stored)
        with pytest.raises(CodecError, match=f"{stored} of {bits} bits"):
            codec_of(syntax).encode(bytes(frame.size), frame, EncodeOptions())
