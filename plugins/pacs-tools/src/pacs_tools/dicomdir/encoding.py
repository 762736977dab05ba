"""A DICOMDIR written anew from its records, with the offsets between them (PS3.3 F.3.2.2).

Offsets count from the first byte of the file, the preamble included, to that of an item. They have
four bytes whatever they say, so that items have their lengths, and places, before they are known.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import zip_longest
from struct import Struct
from typing import TYPE_CHECKING, Final, Protocol

from pacs_core.dataset import tag_of
from pacs_tools.dicomdir.records import FIRST, LAST, LOWER, NEXT

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SEQUENCE: Final = Struct("<HH2sHI")
_ITEM: Final = Struct("<HHI")
_RECORDS: Final = tag_of("DirectoryRecordSequence")


class Branch(Protocol):
    """A record, and those right below it."""

    @property
    def record(self) -> "Dataset":
        """What it says."""
        ...

    @property
    def lower(self) -> "Sequence[Branch]":
        """Those below."""
        ...


def encode_directory(dataset: "Dataset", top: Sequence[Branch]) -> Iterator[bytes]:
    """Iterate over the bytes of a DICOMDIR in Explicit VR Little Endian.

    Parameters
    ----------
    dataset : Dataset
        What it says beside its records.
    top : sequence of Branch
        The records of the root.
    """
    branches = list(_flatten(top))
    for branch in branches:
        _link(branch.record, 0, 0)
    lengths = [_ITEM.size + len(_encode(branch.record)) for branch in branches]
    position = len(_encode_head(dataset, 0, 0)) + _SEQUENCE.size
    offsets = dict[int, int]()
    for branch, length in zip(branches, lengths, strict=True):
        offsets[id(branch)] = position
        position += length
    _link_all(top, offsets)
    first, last = (offsets[id(each)] for each in (top[0], top[-1])) if top else (0, 0)
    yield _encode_head(dataset, first, last)
    group, element = divmod(_RECORDS, 1 << 16)
    yield _SEQUENCE.pack(group, element, b"SQ", 0, sum(lengths))
    for branch in branches:
        item = _encode(branch.record)
        yield _ITEM.pack(0xFFFE, 0xE000, len(item)) + item
    yield _encode(dataset[_RECORDS + 1 :])


def _flatten(branches: Sequence[Branch]) -> Iterator[Branch]:
    for branch in branches:
        yield branch
        yield from _flatten(branch.lower)


def _link_all(branches: Sequence[Branch], offsets: dict[int, int]) -> None:
    for branch, after in zip_longest(branches, branches[1:]):
        lower = offsets[id(branch.lower[0])] if branch.lower else 0
        _link(branch.record, offsets[id(after)] if after else 0, lower)
        _link_all(branch.lower, offsets)


def _link(record: "Dataset", following: int, lower: int) -> None:
    setattr(record, NEXT, following)
    setattr(record, LOWER, lower)


def _encode_head(dataset: "Dataset", first: int, last: int) -> bytes:
    """Return all before the records."""
    from pydicom import dcmwrite

    head = dataset[:_RECORDS]
    head.preamble, head.file_meta = dataset.preamble, dataset.file_meta
    setattr(head, FIRST, first)
    setattr(head, LAST, last)
    out = BytesIO()
    dcmwrite(out, head, enforce_file_format=True)
    return out.getvalue()


def _encode(dataset: "Dataset") -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    return out.getvalue()
