"""Media types of compressed Pixel Data and their transfer syntaxes (PS3.18 Table 8.7.3-5)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from pacs_web.api.media_types import Representation

from pacs_core.api.images import (
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_PROGRESSIVE,
    CodecError,
    read_jpeg,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_dicomweb.delivery import ANY

OCTETS: Final = "application/octet-stream"

_JPEG: Final = "1.2.840.10008.1.2.4"

SYNTAXES: Final[Mapping[str, tuple[str, ...]]] = {
    "image/jpeg": tuple(f"{_JPEG}.{n}" for n in (70, 50, 51, 57)),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "image/jls": tuple(f"{_JPEG}.{n}" for n in (80, 81)),
    "image/jp2": tuple(f"{_JPEG}.{n}" for n in (90, 91)),
    "image/jpx": tuple(f"{_JPEG}.{n}" for n in (92, 93)),
    "image/jphc": tuple(f"{_JPEG}.{n}" for n in (201, 202, 203)),
    "image/jxl": tuple(f"{_JPEG}.{n}" for n in (110, 111, 112)),
}
"""Transfer syntaxes by media type, the default first."""

_FORMER: Final = {
    "image/x-jls": SYNTAXES["image/jls"],
    "image/dicom+rle": SYNTAXES["image/dicom-rle"],
    "image/x-dicom-rle": SYNTAXES["image/dicom-rle"],
    "image/x-dicom+rle": SYNTAXES["image/dicom-rle"],
}
"""Under names that earlier editions had, and clients still have; nothing has them unless asked."""

_NAMED: Final = {**SYNTAXES, **_FORMER}

VIDEOS: Final[Mapping[str, tuple[str, ...]]] = {
    "video/mpeg": tuple(f"{_JPEG}.{n}" for n in (100, "100.1", 101, "101.1")),
    "video/mp4": tuple(f"{_JPEG}.{n}{part}" for n in range(102, 109) for part in ("", ".1")),
}

MEDIA_TYPES: Final = {
    uid: name for table in (SYNTAXES, VIDEOS) for name, uids in table.items() for uid in uids
}
"""Media types by transfer syntax."""

_JPEG_PROCESSES: Final = {
    JPEG_BASELINE: f"{_JPEG}.50",
    JPEG_EXTENDED: f"{_JPEG}.51",
    JPEG_PROGRESSIVE: f"{_JPEG}.55",
}

MULTIPART: Final = tuple(Representation(name, True) for name in (OCTETS, *_NAMED))
SINGLE: Final = tuple(Representation(name) for name in (OCTETS, *_NAMED))


def stored_syntax(name: str, codestream: bytes) -> str | None:
    """Return the transfer syntax of Pixel Data that come as a media type without naming one.

    That is the default, which for JPEG is the lossless process. Who sends pictures of cameras
    does not know that, so a JPEG is what its frame header says.

    Parameters
    ----------
    name : str
        The media type.
    codestream : bytes
        The beginning of the first frame.

    Returns
    -------
    str or None
        None if it is no media type of Pixel Data.
    """
    syntaxes = _NAMED.get(name) or VIDEOS.get(name)
    if syntaxes is None:
        return EXPLICIT_VR_LITTLE_ENDIAN if name == OCTETS else None
    if name == "image/jpeg":
        with suppress(CodecError):
            return _JPEG_PROCESSES.get(read_jpeg(codestream).process, syntaxes[0])
    return syntaxes[0]


def offered_frames(stored: str, number: int) -> tuple[Representation, ...]:
    """Return the representations of frames, the default first, then what needs no conversion.

    Parameters
    ----------
    stored : str
        Transfer syntax UID in which they are.
    number : int
        How many; a single one may come without multipart (§10.4.4).
    """
    own = MEDIA_TYPES.get(stored, "")
    offered = MULTIPART if number > 1 else (*MULTIPART, *SINGLE)
    return tuple(sorted(offered, key=lambda each: each.name not in {OCTETS, own}))


def accepted_for(name: str, named: Sequence[str], stored: str) -> tuple[str, ...]:
    """Return the transfer syntaxes in which frames may come as a media type.

    Parameters
    ----------
    name : str
        The media type.
    named : sequence of str
        Transfer syntaxes that the request names for it: UIDs, `*` for any, empty for the default.
    stored : str
        In which they are: preferred where anything will do.
    """
    found: list[str] = []
    for uid in named:
        if name == OCTETS:
            found.append(stored if uid == ANY else uid or EXPLICIT_VR_LITTLE_ENDIAN)
            continue
        own = _NAMED[name]
        if uid == ANY:
            found += (stored,) if stored in own else own
        elif uid in own:
            found.append(uid)
        elif not uid:
            # The default is without loss; what is there already needs no conversion.
            found.append(stored if stored in own else own[0])
    return tuple(dict.fromkeys(found))


def content_type_of(name: str, transfer_syntax_uid: str) -> str:
    """Return the Content-Type of a frame."""
    default = EXPLICIT_VR_LITTLE_ENDIAN if name == OCTETS else _NAMED[name][0]
    if transfer_syntax_uid == default:
        return name
    return f"{name}; transfer-syntax={transfer_syntax_uid}"
