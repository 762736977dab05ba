"""DICOM files as the tools read them: whole but for long values, and as far as they can be read."""

import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from attrs import evolve, field, frozen

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import (
    ElementPath,
    ElementReader,
    ElementSet,
    FileMeta,
    Inflater,
    MalformedDataset,
    NotPart10,
    ReadLimits,
    begins_with_file_meta,
    encoding_of,
    guess_transfer_syntax,
    is_part10,
    open_regular,
    read_file_meta,
)

_BLOCK: Final = 1 << 20
_HEAD: Final = 64 * 1024 + 256
"""More than a preamble and File Meta Information ever are."""

LIMITS: Final = ReadLimits(bulk=64 * 1024, value=64 << 20, total=1 << 30, elements=5_000_000)


@frozen
class DicomFile:
    """A file that was read, and is still open.

    Attributes
    ----------
    path : Path
    size : int
        Bytes of the file.
    meta : FileMeta
        With the transfer syntax guessed where the file has no File Meta Information.
    has_meta : bool
    elements : ElementSet
        Those of the dataset, up to what cannot be read.
    damage : str
        What cannot be read, and where; empty if all can.
    dataset_size : int
        Bytes of the dataset, the inflated one if it is deflated.
    head : bytes
        What precedes the dataset: preamble and File Meta Information.
    offsets : mapping of ElementPath to int
        Where elements begin, in the file or the inflated dataset, if that was asked for.
    """

    path: Path
    size: int
    meta: FileMeta
    has_meta: bool
    elements: ElementSet
    damage: str
    dataset_size: int
    head: bytes = field(repr=False)
    _dataset: BinaryIO = field(repr=False)
    _start: int = field(repr=False)
    offsets: Mapping[ElementPath, int] = field(factory=dict, repr=False)

    @property
    def dataset_offset(self) -> int:
        """Where the dataset begins: in the file, but 0 in one that had to be inflated."""
        return self._start

    def read_bulk(self, offset: int, length: int) -> Iterator[bytes]:
        """Iterate over bytes of the dataset, the inflated one if it is deflated."""
        self._dataset.seek(self._start + offset)
        while length > 0 and (block := self._dataset.read(min(length, _BLOCK))):
            length -= len(block)
            yield block

    def __enter__(self) -> "DicomFile":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._dataset.close()


def open_dicom(path: Path, limits: ReadLimits = LIMITS, *, with_offsets: bool = False) -> DicomFile:
    """Read a DICOM file, or a bare dataset.

    Parameters
    ----------
    path : Path
    limits : ReadLimits
        What is longer is left where it is, as bulk data.
    with_offsets : bool
        Note where each element begins.

    Raises
    ------
    NotPart10
        It is neither.
    OSError
        It cannot be read.
    """
    file = open_regular(path)
    try:
        return _read(path, file, limits, with_offsets)
    except BaseException:
        file.close()
        raise


def open_named(path: Path, limits: ReadLimits = LIMITS) -> DicomFile:
    """Read a file that a command was given by its name, as `open_dicom` does.

    Raises
    ------
    CommandError
        It is not a DICOM file.
    OSError
        It cannot be read.
    """
    try:
        return open_dicom(path, limits)
    except NotPart10 as error:
        raise CommandError(f"{path}: {error}") from error


def explain(path: Path, named: bool, error: Exception) -> str:
    """Return why a file cannot be read; nothing of what is to be passed over.

    Parameters
    ----------
    path : Path
    named : bool
        Rather than found in a folder, where there is much that is no DICOM file, and some of that
        begins like a dataset.
    error : Exception
        What reading it has raised.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, NotPart10):
        return str(error) if named else ""
    if not named and not is_part10(path):
        return ""
    if isinstance(error, MalformedDataset):
        return f"damaged: {error.what} (at byte {error.offset})"
    return str(error)


def _read(path: Path, file: BinaryIO, limits: ReadLimits, with_offsets: bool) -> DicomFile:
    size = os.fstat(file.fileno()).st_size
    head = file.read(_HEAD)
    has_meta = begins_with_file_meta(head)
    # A file may end with its File Meta Information, where the reader looks whether it goes on.
    meta = read_file_meta(head + bytes(16)) if has_meta else FileMeta("", "", "", 0)
    start = min(meta.dataset_offset, size)
    if not meta.transfer_syntax_uid:
        meta = evolve(meta, transfer_syntax_uid=guess_transfer_syntax(head[start:]))
    damage, dataset, length = "", file, size - start
    if size == len(head):
        # Most files are small: they are in memory, and need not be read in parts again.
        file.close()
        dataset = file = BytesIO(head)
    if encoding_of(meta.transfer_syntax_uid).deflated:
        file.seek(start)
        dataset, damage = _inflate(file)
        file.close()
        start, length = 0, dataset.tell()
    reader = ElementReader(
        meta.transfer_syntax_uid, length, limits=limits, with_offsets=with_offsets
    )
    try:
        reader.read_file(dataset, start)
    except MalformedDataset as error:
        reader.give_up()
        damage = damage or f"{error.what} (at byte {start + error.offset})"
    preface = head[: meta.dataset_offset]
    offsets = {path: start + offset for path, offset in reader.offsets.items()}
    return DicomFile(
        path,
        size,
        meta,
        has_meta,
        reader.elements,
        damage,
        length,
        preface,
        dataset,
        start,
        offsets,
    )


def _inflate(file: BinaryIO) -> tuple[BinaryIO, str]:
    """Return the inflated dataset, as much as there is of it, and what is wrong with it."""
    from tempfile import TemporaryFile  # with all that compresses, for few files

    inflated, inflater = TemporaryFile(), Inflater()  # noqa: SIM115 - closed by who reads it
    try:
        while block := file.read(_BLOCK):
            inflated.writelines(inflater.pieces(block))
    except MalformedDataset as error:
        return inflated, error.what
    return inflated, "" if inflater.ended else "the deflate stream is truncated"
