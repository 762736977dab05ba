"""File Meta Information: the preamble, "DICM" and group 0002 (PS3.10 §7.1)."""

from functools import lru_cache
from struct import Struct
from typing import Any

from attrs import frozen

from pacs_core.dataset.errors import MalformedDataset, NeedMoreData, NotPart10
from pacs_core.dataset.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_core.dataset.layout import layout_of
from pacs_core.dataset.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Encoding,
)
from pacs_core.dataset.uid import is_valid_uid
from pacs_core.dataset.values import decode_value

# Theory of operation
#
# Writing is strict: a preamble of zeros, group 0002 in explicit VR little endian with a true group
# length, UIDs that are valid. UIDs and AE titles are the same for thousands of files, so their
# elements are cached.
#
# Reading is not: the group length is ignored, since it is wrong in many files, and the group ends
# where another group begins. A file without preamble, or without the four letters, is still read if
# it begins with an element of group 0002. `NeedMoreData` tells a caller that has read too little
# how much to read, so that a file need not be read whole to know what it is.

PREFIX = bytes(128) + b"DICM"
MAX_FILE_META = 1 << 16

_NARROW = Struct("<HH2sH")
_GROUP_LENGTH = Struct("<HH2sHI")
_WIDE = Struct("<HH2sHI")
_VERSION = _WIDE.pack(2, 1, b"OB", 0, 2) + b"\x00\x01"
_LAYOUT = layout_of(Encoding())


def file_meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae_title: str = "",
    sending_ae_title: str = "",
    receiving_ae_title: str = "",
    *,
    private_creator_uid: str = "",
    private_information: bytes = b"",
) -> bytes:
    """Return everything that precedes the dataset in a DICOM file.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        Of the dataset that follows.
    source_ae_title : str
        AE title that wrote the file (0002,0016).
    sending_ae_title, receiving_ae_title : str
        AE titles of the association over which it came (0002,0017) and (0002,0018).
    private_creator_uid : str
        Who says what the private information means (0002,0100); empty for none.
    private_information : bytes
        Of even length (0002,0102). It is the last that is written, directly before the dataset.

    Returns
    -------
    bytes
        A preamble of zeros, "DICM" and group 0002 in explicit VR little endian.

    Raises
    ------
    ValueError
        If one of the UIDs is not valid (PS3.5 §9), or the private information of odd length.
    """
    elements = [
        _VERSION,
        _uid(0x0002, sop_class_uid),
        _uid(0x0003, sop_instance_uid),
        _uid(0x0010, transfer_syntax_uid),
        _uid(0x0012, IMPLEMENTATION_CLASS_UID),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        _text(0x0016, b"AE", source_ae_title),
        _text(0x0017, b"AE", sending_ae_title),
        _text(0x0018, b"AE", receiving_ae_title),
    ]
    if private_creator_uid:
        if len(private_information) & 1:
            raise ValueError("private information has an odd number of bytes")
        head = _WIDE.pack(2, 0x0102, b"OB", 0, len(private_information))
        elements += [_uid(0x0100, private_creator_uid), head + private_information]
    group = b"".join(elements)
    return PREFIX + _GROUP_LENGTH.pack(2, 0, b"UL", 4, len(group)) + group


@lru_cache(maxsize=256)
def _uid(element: int, uid: str) -> bytes:
    if not is_valid_uid(uid):
        raise ValueError(f"(0002,{element:04X}) cannot be written: {uid[:80]!r} is not a UID")
    raw = uid.encode("ascii")
    return _element(element, b"UI", raw + b"\0" if len(raw) & 1 else raw)


@lru_cache(maxsize=256)
def _text(element: int, vr: bytes, text: str) -> bytes:
    raw = text.encode("ascii")
    return _element(element, vr, raw + b" " if len(raw) & 1 else raw) if text else b""


def _element(element: int, vr: bytes, raw: bytes) -> bytes:
    return _NARROW.pack(2, element, vr, len(raw)) + raw


@frozen
class FileMeta:
    """What the File Meta Information of a file says; text that is absent is empty.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        Of the dataset. PS3.10 requires them, but files without exist.
    dataset_offset : int
        Where in the file the dataset starts.
    implementation_class_uid, implementation_version_name : str
        What wrote the file.
    source_ae_title, sending_ae_title, receiving_ae_title : str
        Where it came from.
    private_creator_uid : str
        Who says what the private information means.
    private_information : bytes
        As it is in the file.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    source_ae_title: str = ""
    sending_ae_title: str = ""
    receiving_ae_title: str = ""
    private_creator_uid: str = ""
    private_information: bytes = b""


_FIELDS = {
    0x0002_0002: "sop_class_uid",
    0x0002_0003: "sop_instance_uid",
    0x0002_0010: "transfer_syntax_uid",
    0x0002_0012: "implementation_class_uid",
    0x0002_0013: "implementation_version_name",
    0x0002_0016: "source_ae_title",
    0x0002_0017: "sending_ae_title",
    0x0002_0018: "receiving_ae_title",
    0x0002_0100: "private_creator_uid",
}
_PRIVATE_INFORMATION = 0x0002_0102
_FIRST_TAGS = frozenset({b"\2\0\0\0", b"\2\0\1\0", b"\2\0\2\0"})
"""Group length, version, and SOP class: with one of these the group begins."""
_REQUIRED = {"sop_class_uid": "", "sop_instance_uid": "", "transfer_syntax_uid": ""}


def read_file_meta(prefix: bytes | memoryview) -> FileMeta:
    """Read the File Meta Information at the start of a file.

    The group is read element by element: its length (0002,0000), where present, is not trusted.
    Files exist that begin with it, or with "DICM", and have no preamble: they are read as well.

    Raises
    ------
    NeedMoreData
        If the prefix ends before the group does; its `needed` says how much to read.
    NotPart10
        If the file does not start with a preamble and "DICM", or group 0002 is damaged or longer
        than 64 KiB. `guess_transfer_syntax` may still make sense of it.
    """
    found: dict[str, Any] = dict(_REQUIRED)
    position = _find_group(prefix)
    while _group_continues(prefix, position):
        position = _read_element(prefix, position, found)
    return FileMeta(dataset_offset=position, **found)


def begins_with_file_meta(prefix: bytes | memoryview) -> bool:
    """Tell whether a file whose first 132 bytes, or all, are given has File Meta Information."""
    start = bytes(prefix[:4])
    return prefix[128:132] == b"DICM" or start == b"DICM" or start in _FIRST_TAGS


def _find_group(prefix: bytes | memoryview) -> int:
    if len(prefix) < len(PREFIX):
        raise NeedMoreData(len(PREFIX))
    if prefix[128:132] == b"DICM":
        return len(PREFIX)
    if not begins_with_file_meta(prefix):
        raise NotPart10('no "DICM" after the 128 bytes of the preamble')
    return 4 if prefix[:4] == b"DICM" else 0


def _group_continues(prefix: bytes | memoryview, position: int) -> bool:
    if len(prefix) < position + 8:
        raise NeedMoreData(position + 8)
    return bytes(prefix[position : position + 2]) == b"\x02\x00"


def _read_element(prefix: bytes | memoryview, position: int, found: dict[str, Any]) -> int:
    try:
        header = _LAYOUT.read_header(prefix, position, 0)
    except MalformedDataset as error:
        raise NotPart10(f"the file meta information is damaged: {error.what}") from error
    if header is None:
        raise NeedMoreData(position + 12)
    tag, vr, start, length = header
    end = start + length
    if end > MAX_FILE_META:
        raise NotPart10(f"the file meta information is longer than {MAX_FILE_META} bytes")
    if end > len(prefix):
        raise NeedMoreData(end)
    if field := _FIELDS.get(tag):
        found[field] = "\\".join(decode_value(vr, prefix[start:end], True, ()))
    elif tag == _PRIVATE_INFORMATION:
        found["private_information"] = bytes(prefix[start:end])
    return end


def guess_transfer_syntax(prefix: bytes | memoryview) -> str:
    """Tell the encoding of a dataset without File Meta Information by its first element.

    Parameters
    ----------
    prefix : bytes or memoryview
        The start of the dataset, at least 6 bytes.

    Returns
    -------
    str
        UID of implicit VR little endian, or explicit VR little or big endian.

    Raises
    ------
    NotPart10
        If it starts like no dataset.
    """
    start = bytes(prefix[:8])
    little, big = start[1:2] == b"\0", start[:1] == b"\0"
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    if len(start) < 6 or not (little or (big and explicit)):
        raise NotPart10("the file starts neither with file meta information nor with a dataset")
    if not explicit:
        return IMPLICIT_VR_LITTLE_ENDIAN
    return EXPLICIT_VR_LITTLE_ENDIAN if little else EXPLICIT_VR_BIG_ENDIAN
