"""A DICOMDIR written anew from its records, with the offsets between them (PS3.3 F.3.2.2).

Offsets count from the first byte of the file, the preamble included, to that of an item. They have
four bytes whatever they say, so that items have their lengths, and places, before they are known.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from struct import Struct
from typing import Final, Protocol

from pacs_core.dataset import tag_of

_SEQUENCE: Final = Struct("<HH2sHI")
_ITEM: Final = Struct("<HHI")
_RECORDS: Final = divmod(tag_of("DirectoryRecordSequence"), 1 << 16)


class Branch(Protocol):
    """A record, and those right below it."""

    @property
    def lower(self) -> "Sequence[Branch]":
        """Those below."""
        ...

    def encode(self, following: int, lower: int) -> bytes:
        """Return its elements, in Explicit VR Little Endian.

        Parameters
        ----------
        following, lower : int
            Offsets of the next record and of the first one below; 0 for none. The length does not
            depend on them.
        """
        ...


def encode_directory(
    encode_head: Callable[[int, int], bytes], top: Sequence[Branch]
) -> Iterator[bytes]:
    """Iterate over the bytes of a DICOMDIR in Explicit VR Little Endian, up to its last record.

    Parameters
    ----------
    encode_head : callable
        Makes all before the records of the offsets of the first and the last one of the root;
        always of one length.
    top : sequence of Branch
        The records of the root.
    """
    branches = list(_flatten(top))
    lengths = [_ITEM.size + len(branch.encode(0, 0)) for branch in branches]
    position = len(encode_head(0, 0)) + _SEQUENCE.size
    offsets = dict[int, int]()
    for branch, length in zip(branches, lengths, strict=True):
        offsets[id(branch)] = position
        position += length
    links = dict[int, tuple[int, int]]()
    _link_all(top, offsets, links)
    first, last = (offsets[id(each)] for each in (top[0], top[-1])) if top else (0, 0)
    yield encode_head(first, last)
    yield _SEQUENCE.pack(*_RECORDS, b"SQ", 0, sum(lengths))
    for branch in branches:
        item = branch.encode(*links[id(branch)])
        yield _ITEM.pack(0xFFFE, 0xE000, len(item)) + item


def _flatten(branches: Sequence[Branch]) -> Iterator[Branch]:
    for branch in branches:
        yield branch
        yield from _flatten(branch.lower)


def _link_all(
    branches: Sequence[Branch], offsets: dict[int, int], links: dict[int, tuple[int, int]]
) -> None:
    for branch, after in zip_longest(branches, branches[1:]):
        lower = offsets[id(branch.lower[0])] if branch.lower else 0
        links[id(branch)] = offsets[id(after)] if after else 0, lower
        _link_all(branch.lower, offsets, links)
