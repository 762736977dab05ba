"""The attributes of files and streams, read no further than the header (PS3.10 §7)."""

import os
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from itertools import chain
from stat import S_ISREG
from typing import BinaryIO

from attrs import evolve, frozen

from pacs_core.dataset.errors import NeedMoreData, NotPart10
from pacs_core.dataset.layout import begins_with_vr
from pacs_core.dataset.model import Attributes
from pacs_core.dataset.part10 import (
    FileMeta,
    begins_with_file_meta,
    guess_transfer_syntax,
    read_file_meta,
)
from pacs_core.dataset.scanner import MAX_HEADER, HeaderScanner
from pacs_core.dataset.transfer_syntax import IMPLICIT_VR_LITTLE_ENDIAN

_BLOCK = 16384
_BARE = FileMeta("", "", "", 0)


@frozen
class ScannedFile:
    """What a scan found.

    Attributes
    ----------
    meta : FileMeta
        The File Meta Information; where the file has none, only the transfer syntax (guessed).
    attributes : Attributes
        The wanted attributes that the dataset has.
    size : int or None
        Bytes of the whole file; None for a stream.
    """

    meta: FileMeta
    attributes: Attributes
    size: int | None


def scan_file(
    path: str | os.PathLike[str], wanted: Collection[int], max_header: int = MAX_HEADER
) -> ScannedFile:
    """Read the wanted attributes of a file, but not its Pixel Data. Blocking.

    Parameters
    ----------
    path : path-like
        A DICOM file, or a bare dataset.
    wanted : collection of int
        Tags to read.
    max_header : int
        Bytes to examine, as for `HeaderScanner`.

    Raises
    ------
    NotPart10
        If it is neither a DICOM file nor a dataset.
    MalformedDataset
        If the dataset is malformed, or truncated before the last wanted attribute.
    OSError
        If it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        meta, attributes = _scan(file, wanted, max_header)
    return ScannedFile(meta, attributes, size)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading: a pipe might block, and a device never end.

    Raises
    ------
    NotPart10
        It is no regular file.
    OSError
        It cannot be opened.
    """

    def open_at_once(path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", opener=open_at_once)  # noqa: SIM115 the caller closes it
    if not S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotPart10("it is no regular file")
    return file


def is_part10(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins with File Meta Information; one that cannot be read does not."""
    with suppress(OSError, NotPart10), open_regular(path) as file:
        return begins_with_file_meta(file.read(132))
    return False


def scan_stream(
    readable: BinaryIO, wanted: Collection[int], max_header: int = MAX_HEADER
) -> ScannedFile:
    """Read the wanted attributes of a file from a stream. Blocking; as `scan_file`."""
    meta, attributes = _scan(readable, wanted, max_header)
    return ScannedFile(meta, attributes, None)


def _scan(
    readable: BinaryIO, wanted: Collection[int], max_header: int
) -> tuple[FileMeta, Attributes]:
    meta, start = _meta(readable)
    scanner = HeaderScanner(meta.transfer_syntax_uid, wanted, max_header)
    # `any` stops at the block with which the scanner is done: the rest of a file is not read.
    if not any(map(scanner.feed, chain((start,), iter(partial(readable.read, _BLOCK), b"")))):
        scanner.finish()
    return meta, scanner.attributes


def _meta(readable: BinaryIO) -> tuple[FileMeta, bytes]:
    """Return the File Meta Information and what was read of the dataset."""
    prefix = readable.read(_BLOCK)
    meta = _BARE
    if begins_with_file_meta(prefix):
        meta, prefix = _read_meta(prefix, readable)
    dataset = prefix[meta.dataset_offset :]
    # Some files say that they are in implicit VR, and begin with a VR: the dataset is right.
    if not meta.transfer_syntax_uid or (
        meta.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN and begins_with_vr(dataset)
    ):
        meta = evolve(meta, transfer_syntax_uid=guess_transfer_syntax(dataset))
    return meta, dataset


def _read_meta(prefix: bytes, readable: BinaryIO) -> tuple[FileMeta, bytes]:
    while True:
        try:
            return read_file_meta(prefix), prefix
        except NeedMoreData as short:
            more = readable.read(max(_BLOCK, short.needed - len(prefix)))
            if not more:
                raise
            prefix += more
