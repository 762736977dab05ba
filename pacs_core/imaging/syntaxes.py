"""Encapsulated transfer syntaxes: what each does to pixels, and which images it may hold.

PS3.5 §8.2 (which attributes are valid) and Annex A.4 (fragments); PS3.3 C.7.6.1.1.5.2 (methods).
"""

from enum import Enum

from attrs import evolve, frozen

from pacs_core.dataset import encoding_of, name_of, short_name_of
from pacs_core.imaging.codestream import MarkerWalk
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import FrameFormat
from pacs_core.imaging.jpeg import JpegWalk
from pacs_core.imaging.jpeg2000 import J2kWalk


class PixelLoss(Enum):
    """What a transfer syntax does to the pixels."""

    LOSSLESS = "lossless"
    LOSSY = "lossy"
    """Lossy, or possibly so."""
    VIDEO = "video"
    """Frames depend on each other: never taken apart."""


@frozen
class Profile:
    """One row of a table of PS3.5 §8.2: a combination of attributes that is valid.

    Attributes
    ----------
    photometric : frozenset of str
    bits_allocated : frozenset of int
    bits_stored : range
    may_be_signed : bool
    """

    photometric: frozenset[str]
    bits_allocated: frozenset[int]
    bits_stored: range
    may_be_signed: bool = False

    def permits(self, frame: FrameFormat) -> bool:
        """Return whether a frame of this format is within the row."""
        return (
            frame.photometric_interpretation in self.photometric
            and self.holds_bits_of(frame)
            and (self.may_be_signed or not frame.is_signed)
        )

    def holds_bits_of(self, frame: FrameFormat) -> bool:
        """Return whether the row has as many bits as a frame, allocated and stored."""
        return frame.bits_allocated in self.bits_allocated and frame.bits_stored in self.bits_stored


@frozen
class PixelSyntax:
    """An encapsulated transfer syntax.

    Attributes
    ----------
    kind : PixelLoss
    method : str
        Defined term of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.2); empty if lossless.
    starts : tuple of bytes
        With one of these each codestream begins; empty if it has no signature.
    walk : type of MarkerWalk or None
        Finds its end, if there are markers.
    is_run_length : bool
        It begins as PS3.5 G.5 says.
    as_native : bool
        Frames are as in native Pixel Data, if also deflated (PS3.5 A.4.11, A.4.13).
    profiles : tuple of Profile
        What it may hold; empty if anything that native Pixel Data may be.
    """

    kind: PixelLoss
    method: str = ""
    starts: tuple[bytes, ...] = ()
    walk: type[MarkerWalk] | None = None
    is_run_length: bool = False
    as_native: bool = False
    profiles: tuple[Profile, ...] = ()

    @property
    def always_lossy(self) -> bool:
        """Whether no image in it is what it was: the sequential DCT of JPEG."""
        return self.method == "ISO_10918_1"


def _profile(
    photometric: str, allocated: tuple[int, ...], fewest: int, most: int, signed: bool = False
) -> Profile:
    names = frozenset(photometric.split(","))
    return Profile(names, frozenset(allocated), range(fewest, most + 1), signed)


_GREY = "MONOCHROME1,MONOCHROME2"
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"})
_BYTES = (8, 16)
_WIDE = (8, 16, 24, 32, 40)
_PALETTE = _profile("PALETTE COLOR", _BYTES, 1, 16)
_SINGLE_BIT = _profile(_GREY, (1,), 1, 1)

# Table 8.2.1-1: lossy JPEG
_BASELINE = (_profile(f"{_GREY},YBR_FULL_422,RGB", (8,), 8, 8),)
_EXTENDED = (_profile(_GREY, (8,), 8, 8), _profile(_GREY, (16,), 12, 12))
# Table 8.2.1-2: lossless JPEG
_LOSSLESS_JPEG = (
    _profile(_GREY, _BYTES, 1, 16, signed=True),
    _PALETTE,
    _profile("RGB,YBR_FULL", _BYTES, 1, 16),
)
# Table 8.2.2-1
_RLE_PROFILES = (
    _SINGLE_BIT,
    _profile(_GREY, _BYTES, 1, 16, signed=True),
    _PALETTE,
    _profile("YBR_FULL", (8,), 1, 8),
    _profile("RGB", _BYTES, 1, 16),
)
# Table 8.2.3-1
_NEAR_LOSSLESS = (
    _profile(_GREY, _BYTES, 2, 16, signed=True),
    _profile("YBR_FULL", (8,), 2, 8),
    _profile("RGB", _BYTES, 2, 16),
)
_JPEG_LS = (*_NEAR_LOSSLESS, _profile("PALETTE COLOR", _BYTES, 2, 16))
# Table 8.2.4-1, and the same for High-Throughput JPEG 2000
_J2K_REVERSIBLE = (
    _profile(_GREY, _WIDE, 1, 38, signed=True),
    _PALETTE,
    _profile("YBR_RCT,RGB,YBR_FULL", _WIDE, 1, 38),
)
_J2K_IRREVERSIBLE = (
    _profile(_GREY, _WIDE, 1, 38, signed=True),
    _profile("YBR_RCT,YBR_ICT,RGB,YBR_FULL", _WIDE, 1, 38),
)
_J2K_SINGLE_BIT = (_SINGLE_BIT, *_J2K_REVERSIBLE)
_LOSSY_J2K_SINGLE_BIT = (_SINGLE_BIT, *_J2K_IRREVERSIBLE)

_JPEG_MARKERS = ((b"\xff\xd8\xff",), JpegWalk)
_J2K_MARKERS = ((b"\xff\x4f\xff\x51",), J2kWalk)
_JXL_MARKERS = ((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), None)

_LOSSY_JPEG = PixelSyntax(PixelLoss.LOSSY, "ISO_10918_1", *_JPEG_MARKERS)
_JPEG = PixelSyntax(PixelLoss.LOSSLESS, "", *_JPEG_MARKERS, profiles=_LOSSLESS_JPEG)
_J2K = PixelSyntax(PixelLoss.LOSSLESS, "", *_J2K_MARKERS, profiles=_J2K_REVERSIBLE)
_LOSSY_J2K = PixelSyntax(PixelLoss.LOSSY, "ISO_15444_1", *_J2K_MARKERS, profiles=_J2K_IRREVERSIBLE)
_RLE = PixelSyntax(PixelLoss.LOSSLESS, is_run_length=True, profiles=_RLE_PROFILES)
_JXL = PixelSyntax(PixelLoss.LOSSLESS, "", *_JXL_MARKERS)
_AS_NATIVE = PixelSyntax(PixelLoss.LOSSLESS, as_native=True)
_UNKNOWN = PixelSyntax(PixelLoss.LOSSY)
"""A private or later syntax: nothing is known of it, so it may have lost something."""


def _video(method: str) -> PixelSyntax:
    return PixelSyntax(PixelLoss.VIDEO, method)


_ROOT = "1.2.840.10008.1.2"
_SYNTAXES = {
    _ROOT + suffix: syntax
    for suffix, syntax in {
        ".1.98": _AS_NATIVE,
        ".4.50": evolve(_LOSSY_JPEG, profiles=_BASELINE),
        ".4.51": evolve(_LOSSY_JPEG, profiles=_EXTENDED),
        # Retired: processes 3 to 13, and 16 to 27 with them.
        **{f".4.{number}": _LOSSY_JPEG for number in (52, 53, 54, 55, 56, 59, 60, 61, 62, 63, 64)},
        **{f".4.{number}": _JPEG for number in (58, 65, 66)},
        ".4.57": _JPEG,
        ".4.70": _JPEG,
        ".4.80": evolve(_JPEG, profiles=_JPEG_LS),
        ".4.81": evolve(_LOSSY_JPEG, method="ISO_14495_1", profiles=_NEAR_LOSSLESS),
        ".4.90": evolve(_J2K, profiles=_J2K_SINGLE_BIT),
        ".4.91": evolve(_LOSSY_J2K, profiles=_LOSSY_J2K_SINGLE_BIT),
        ".4.92": evolve(_J2K, profiles=()),
        ".4.93": evolve(_LOSSY_J2K, method="ISO_15444_2", profiles=()),
        ".4.110": _JXL,
        # What has lost something is the JPEG that it was, and is within it bit by bit.
        ".4.111": evolve(_JXL, kind=PixelLoss.LOSSY, method="ISO_10918_1"),
        ".4.112": evolve(_JXL, kind=PixelLoss.LOSSY, method="ISO_18181_1"),
        ".4.201": _J2K,
        ".4.202": _J2K,
        ".4.203": evolve(_LOSSY_J2K, method="ISO_15444_15"),
        ".5": _RLE,
        ".8.1": _AS_NATIVE,
        **{
            f".4.{number}{part}": _video("ISO_13818_2")
            for number in (100, 101)
            for part in ("", ".1")
        },
        **{
            f".4.{number}{part}": _video("ISO_14496_10")
            for number in (102, 103, 104, 105, 106)
            for part in ("", ".1")
        },
        ".4.107": _video("ISO_23008_2"),
        ".4.108": _video("ISO_23008_2"),
    }.items()
}


def pixel_syntax(transfer_syntax_uid: str) -> PixelSyntax:
    """Return what is known of an encapsulated transfer syntax; little if it is a private one."""
    return _SYNTAXES.get(transfer_syntax_uid, _UNKNOWN)


def is_lossless(transfer_syntax_uid: str) -> bool:
    """Return whether every image comes back from it bit by bit: also native syntaxes do that."""
    return (
        not encoding_of(transfer_syntax_uid).encapsulated
        or pixel_syntax(transfer_syntax_uid).kind is PixelLoss.LOSSLESS
    )


def is_video(transfer_syntax_uid: str) -> bool:
    """Return whether it is a video: MPEG-2, H.264, HEVC (PS3.5 §8.2.5 to §8.2.8)."""
    return pixel_syntax(transfer_syntax_uid).kind is PixelLoss.VIDEO


def misfit(frame: FrameFormat, transfer_syntax_uid: str) -> str:
    """Return why an encapsulated transfer syntax cannot hold an image; nothing if it can.

    Meant for what is to be encoded: an encoder may transform colours, so of three samples it does
    not matter what they are.
    """
    syntax = pixel_syntax(transfer_syntax_uid)
    name, profiles = short_name_of(transfer_syntax_uid), syntax.profiles
    if not profiles:
        bits = frame.bits_allocated == 1 and not syntax.as_native
        return f"{name} does not hold 1 bit allocated" if bits else ""
    profiles = tuple(profile for profile in profiles if _has_colours_of(frame, profile))
    if not profiles:
        return f"{name} does not hold {frame.photometric_interpretation}"
    if not any(frame.bits_stored in profile.bits_stored for profile in profiles):
        held = " or ".join(dict.fromkeys(_span(profile.bits_stored) for profile in profiles))
        return f"{name} holds {held} bits, not {frame.bits_stored}"
    profiles = tuple(p for p in profiles if p.may_be_signed or not frame.is_signed)
    if not profiles:
        return f"{name} does not hold signed {frame.photometric_interpretation}"
    if not any(profile.holds_bits_of(frame) for profile in profiles):
        return f"{name} does not hold {frame.bits_stored} bits of {frame.bits_allocated} allocated"
    return ""


def _has_colours_of(frame: FrameFormat, profile: Profile) -> bool:
    if frame.samples_per_pixel == 1:
        return frame.photometric_interpretation in profile.photometric
    return not profile.photometric.isdisjoint(_COLOUR)


def _span(bits: range) -> str:
    return f"{bits[0]} to {bits[-1]}" if len(bits) > 1 else f"{bits[0]}"


def check_format(frame: FrameFormat, transfer_syntax_uid: str) -> None:
    """Refuse a format that PS3.5 §8.2 does not allow in an encapsulated transfer syntax.

    Meant for what is written; what is read may be decodable all the same.

    Raises
    ------
    ImageError
        No row of the table of that transfer syntax has these attributes.
    """
    profiles = pixel_syntax(transfer_syntax_uid).profiles
    if profiles and not any(profile.permits(frame) for profile in profiles):
        sign = "signed" if frame.is_signed else "unsigned"
        raise ImageError(
            f"{name_of(transfer_syntax_uid)} cannot hold {frame.photometric_interpretation} with "
            f"{frame.bits_stored} of {frame.bits_allocated} bits, {sign} (PS3.5 §8.2)"
        )
