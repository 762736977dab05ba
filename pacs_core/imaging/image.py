"""The image that a dataset describes: the Image Pixel module (PS3.3 C.7.6.3)."""

from collections.abc import Callable, Iterator

from attrs import evolve, frozen

from pacs_core.dataset import Attributes, tag_of, texts
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import FrameFormat

# Theory of operation
#
# Attributes are checked once, here, so that all that follows may count on them: sizes are positive,
# samples fit their containers, the photometric interpretation is known. A hostile header is thus
# refused before it makes anybody allocate anything.
#
# What cannot be read at all is an error; what is wrong but does not matter is put up with and
# noted. A table tells for each attribute which values can be, so that absent, wrong and odd are
# told apart in one place.

_BITS_ALLOCATED = frozenset({1, *range(8, 65, 8)})
_MAX_FRAMES = 0x7FFF_FFFF


def _is_in(fewest: int, most: int) -> Callable[[int], bool]:
    return lambda number: fewest <= number <= most


# Attribute, what it must be, that in words, and what it is where it is absent.
_NUMBERS: dict[str, tuple[Callable[[int], bool], str, int | None]] = {
    "Rows": (_is_in(1, 0xFFFF), "1 to 65535", None),
    "Columns": (_is_in(1, 0xFFFF), "1 to 65535", None),
    "SamplesPerPixel": ({1, 3}.__contains__, "1 or 3", 1),
    "BitsAllocated": (_BITS_ALLOCATED.__contains__, "1 or a multiple of 8 (PS3.5 §8.1.1)", None),
    "BitsStored": (_is_in(1, 64), "1 to 64", None),
    "HighBit": (_is_in(0, 63), "0 to 63", -1),
    "PixelRepresentation": (_is_in(0, 1), "0 or 1", 0),
    "PlanarConfiguration": (_is_in(0, 1), "0 or 1", 0),
    "NumberOfFrames": (_is_in(0, _MAX_FRAMES), "1 or more", 1),
}
_PHOTOMETRIC = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
    "XYB": 3,
}
"""Samples per Pixel by Photometric Interpretation (PS3.3 C.7.6.3.1.2)."""

IMAGE_TAGS = frozenset(map(tag_of, (*_NUMBERS, "PhotometricInterpretation")))
"""The attributes that :func:`image_of` reads."""


@frozen
class Image:
    """What Pixel Data holds.

    Attributes
    ----------
    format : FrameFormat
        Of each frame, as the dataset says; also its Planar Configuration.
    frames : int
        Number of Frames; 1 if it is absent.
    low_bits : int
        Bits below each sample in its container: High Bit + 1 - Bits Stored. Not 0 in images from
        before High Bit had to be Bits Stored - 1 (PS3.5 §8.1.1). Frames come out without them.
    notes : tuple of str
        What is odd about the attributes and was put up with, for the log.
    """

    format: FrameFormat
    frames: int = 1
    low_bits: int = 0
    notes: tuple[str, ...] = ()


def image_of(attributes: Attributes) -> Image:
    """Return the image that a dataset describes.

    Parameters
    ----------
    attributes : Attributes
        With those of `IMAGE_TAGS` that the dataset has.

    Raises
    ------
    ImageError
        An attribute is absent, or says what no image can be. Put up with, and noted, are what old
        images have: a High Bit that cannot be (PS3.5 §8.1.1), and 0 frames for 1.
    """
    number = {keyword: _number(attributes, keyword) for keyword in _NUMBERS}
    samples = number["SamplesPerPixel"]
    frame = FrameFormat(
        rows=number["Rows"],
        columns=number["Columns"],
        samples_per_pixel=samples,
        bits_allocated=number["BitsAllocated"],
        bits_stored=number["BitsStored"],
        is_signed=bool(number["PixelRepresentation"]),
        photometric_interpretation=_photometric(attributes, samples),
        planar_configuration=number["PlanarConfiguration"] if samples > 1 else 0,
    )
    if frame.bits_stored > frame.bits_allocated:
        raise ImageError(
            f"BitsStored is {frame.bits_stored}, more than BitsAllocated ({frame.bits_allocated})"
        )
    if frame.bits_allocated == 1 and frame.samples_per_pixel > 1:
        raise ImageError("BitsAllocated is 1 in a colour image")
    frames, high_bit = number["NumberOfFrames"], number["HighBit"]
    low_bits = max(0, high_bit + 1 - frame.bits_stored)
    if low_bits + frame.bits_stored > frame.bits_allocated:
        low_bits = 0
    notes = tuple(_oddities(frame, frames, high_bit, low_bits))
    return Image(frame, frames or 1, low_bits, notes)


def _number(attributes: Attributes, keyword: str) -> int:
    is_valid, expected, default = _NUMBERS[keyword]
    values = texts(attributes, tag_of(keyword))
    if not values:
        if default is None:
            raise ImageError(f"{keyword} is absent, so Pixel Data cannot be read")
        return default
    text = values[0].strip()
    # `int` would read "1_000" and digits of other scripts, and take its time over long ones.
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and is_valid(int(text))):
        raise ImageError(f"{keyword} is {text[:32]!r}, not {expected}")
    return int(text)


def _photometric(attributes: Attributes, samples: int) -> str:
    values = texts(attributes, tag_of("PhotometricInterpretation"))
    if not values:
        raise ImageError("PhotometricInterpretation is absent, so Pixel Data cannot be read")
    if values[0] not in _PHOTOMETRIC:
        raise ImageError(f"PhotometricInterpretation is {values[0][:32]!r}, which is unknown")
    if _PHOTOMETRIC[values[0]] != samples:
        raise ImageError(f"SamplesPerPixel is {samples}, which {values[0]} does not have")
    return values[0]


def _oddities(frame: FrameFormat, frames: int, high_bit: int, low_bits: int) -> Iterator[str]:
    if high_bit not in {-1, frame.bits_stored - 1 + low_bits}:
        yield f"HighBit is {high_bit}, not BitsStored ({frame.bits_stored}) - 1: ignored"
    if not frames:
        yield "NumberOfFrames is 0: taken as 1"


def native_format(image: Image) -> FrameFormat:
    """Return the format of the frames that come out of native Pixel Data (`NativeFrames`).

    By pixel, and with chroma for each pixel: YBR_FULL_422 becomes YBR_FULL.
    """
    frame = image.format
    name = "YBR_FULL" if is_subsampled(image) else frame.photometric_interpretation
    return evolve(frame, planar_configuration=0, photometric_interpretation=name)


def is_subsampled(image: Image) -> bool:
    """Return whether native frames have chroma for every second pixel (PS3.3 C.7.6.3.1.2)."""
    return image.format.photometric_interpretation == "YBR_FULL_422"


def native_frame_bits(image: Image) -> int:
    """Return how many bits of native Pixel Data a frame takes; frames follow without padding.

    With Bits Allocated of 1 the next frame may begin within a byte (PS3.5 §8.1.1). YBR_FULL_422
    has two samples for each pixel (PS3.3 C.7.6.3.1.2).
    """
    frame = image.format
    samples = 2 if is_subsampled(image) else frame.samples_per_pixel
    return frame.rows * frame.columns * samples * frame.bits_allocated


def native_frame_size(image: Image) -> int:
    """Return the bytes that one frame takes natively, the last byte perhaps in part."""
    return (native_frame_bits(image) + 7) // 8


def native_length(image: Image) -> int:
    """Return the bytes that all frames take natively, without padding to even length."""
    return (native_frame_bits(image) * image.frames + 7) // 8
