"""The digest of a dataset, by which damage on disk is told from what was stored.

It is taken while the dataset arrives, and kept twice: in the index, and in the object as Private
Information (0002,0102) of its file meta information (PS3.10 §7.1), from which a rebuilt index has
it again. Beside it stands the object's rank among those of one SOP Instance UID, so that a rebuild
also serves the one that was served.

XXH3-128 finds decay: it is no signature, and need not be. Whoever can change an object on disk can
change its digest as well.
"""

import errno
from struct import Struct
from time import time_ns
from typing import Final

from attrs import frozen
from xxhash import xxh3_128

from pacs_core.archive.pacing import Pace
from pacs_core.contracts import ObjectReader
from pacs_core.dataset import FileMeta

CREATOR_UID: Final = "2.25.107259013974659129075167071969302202900"
"""Private Information Creator UID (0002,0100): XXH3-128 of the dataset, and the object's rank."""

SET_ASIDE: Final = 0
FIRST: Final = 1

_LAYOUT: Final = Struct("<16sQ")
ROOM: Final = bytes(_LAYOUT.size)
"""Private information that is to be written when the digest is known."""

_DECAY: Final = frozenset({errno.EIO, errno.EUCLEAN, errno.EBADMSG})

Digest = xxh3_128
"""Made like those of hashlib."""


def later_rank() -> int:
    """Return the rank of an object that takes the place of those before: the time, in µs."""
    return time_ns() // 1000


@frozen
class Fixity:
    """What an object says about itself.

    Attributes
    ----------
    digest : bytes
        Of its dataset; empty if it does not say.
    rank : int
        Of several objects of one SOP Instance UID the one with the highest is served.
    """

    digest: bytes = b""
    rank: int = FIRST

    def pack(self) -> bytes:
        """Return it as private information."""
        return _LAYOUT.pack(self.digest, self.rank)

    @classmethod
    def read(cls, meta: FileMeta) -> "Fixity":
        """Return what file meta information has; objects of old have none."""
        room = meta.private_information
        if meta.private_creator_uid != CREATOR_UID or len(room) != _LAYOUT.size or room == ROOM:
            return cls()
        return cls(*_LAYOUT.unpack(room))


async def digest_of(reader: ObjectReader, offset: int, pace: Pace | None = None) -> bytes:
    """Return the digest of what an object has from an offset on.

    Parameters
    ----------
    reader : ObjectReader
    offset : int
    pace : callable, optional
        Waited for with the size of each chunk.
    """
    digest = Digest()
    async for chunk in reader.chunks(offset):
        digest.update(chunk)
        if pace is not None:
            await pace(len(chunk))
    return digest.digest()


def is_decay(error: OSError) -> bool:
    """Tell whether an error says that the medium has lost data, not that access to it failed."""
    return error.errno in _DECAY
