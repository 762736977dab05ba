"""Zip files that somebody uploaded: judged before anything is inflated.

Theory of operation
-------------------
The directory at the end of a zip file says what is in it, and `zipfile` reads it whole into memory;
so its size is looked at first. It also says how large each entry becomes, and `zipfile` gives no
more than that, whatever the compressed bytes stand for. Thus one sum tells beforehand whether the
file is a bomb, overlapping entries included. Names of entries name nothing here but the entry in a
message: no file is ever made of them, so that it does not matter where they lead.
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from attrs import frozen
from pacs_web.api.http import HttpError

_MOST_DIRECTORY: Final = 32 << 20  # bytes: some hundred thousand entries
_UNSUSPICIOUS: Final = 256 << 20  # bytes that may come out of whatever came in
_MOST_OUT_OF_ONE: Final = 200  # images that are mostly black have a ratio of 50
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_AES: Final = 99
_LONGEST_NAME: Final = 120
_IGNORED: Final = frozenset({"DICOMDIR", ".DS_Store", "Thumbs.db", "desktop.ini"})


@frozen
class ZipEntry:
    """A file in a zip file.

    Attributes
    ----------
    name : str
        For messages.
    problem : str
        Why it cannot be read; empty if it can.
    info : ZipInfo
    """

    name: str
    problem: str
    info: zipfile.ZipInfo


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip file that is no bomb.

    Raises
    ------
    HttpError
        400: it is no zip file, or damaged. 413: it has too many entries, or expands to too much.
    """
    size = file.seek(0, 2)
    if _directory_size(file, size) > _MOST_DIRECTORY:
        raise HttpError(413, "the zip file has too many entries: divide it")
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise HttpError(400, f"the zip file cannot be read: {error}") from error
    expanded = sum(info.file_size for info in archive.infolist())
    if expanded > max(_UNSUSPICIOUS, _MOST_OUT_OF_ONE * size):
        detail = f"{size} bytes of zip file would expand to {expanded}: this looks like a zip bomb"
        raise HttpError(413, detail)
    return archive


def _directory_size(file: BinaryIO, size: int) -> int:
    """Return how large the directory is (APPNOTE.TXT 4.3.16, 4.3.14). HttpError 400: none."""
    start = max(0, size - _END.size - 0xFFFF)
    file.seek(start)
    tail = file.read()
    position = tail.rfind(b"PK\x05\x06")
    if position < 0 or len(tail) - position < _END.size:
        raise HttpError(400, "this is no zip file, or only the beginning of one")
    length: int = _END.unpack_from(tail, position)[5]
    at = start + position - _LOCATOR_64.size
    if at < 0:
        return length
    file.seek(at)
    signature, _, offset, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if signature != b"PK\x06\x07" or offset > size - _END_64.size:
        return length
    file.seek(offset)
    return max(length, int(_END_64.unpack(file.read(_END_64.size))[8]))


def list_entries(archive: zipfile.ZipFile) -> Iterator[ZipEntry]:
    """Iterate over files; those that systems and media add by themselves are left out."""
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        if info.is_dir() or path.name in _IGNORED or path.name.startswith("._"):
            continue
        name = "".join(each if each.isprintable() else "?" for each in info.filename)
        yield ZipEntry(name[-_LONGEST_NAME:], _problem(info), info)


def _problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED or info.compress_type == _AES:
        return "it is encrypted: make a zip file without a password"
    if info.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(info.compress_type, info.compress_type)  # type: ignore[attr-defined]
        return f"its compression ({method}) is not supported: use Deflate"
    return ""
