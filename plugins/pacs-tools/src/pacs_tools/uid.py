"""``pacs uid``: UIDs, new ones or derived from others by a key (PS3.5 Annex B)."""

import hashlib
import hmac
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID, uuid4

from pacs_core.api.file_commands import Option, UsageError, say

_SHORTEST_KEY: Final = 16


def uid(
    *uids: str,
    count: Annotated[int, Option("--count", "-n")] = 1,
    key_file: Path | None = None,
) -> None:
    """Print UIDs: new ones, or for each that is named the one that a key derives from it.

    Who has the key gets the same UID for the same whenever it is asked for, and nobody else can
    tell which it was. ``pacs modify --new-uids`` gives files new ones that hold together.

    Parameters
    ----------
    uids
        UIDs to derive others from; needs --key-file.
    count
        New UIDs to print, where none are named.
    key_file
        File with the key, of 16 bytes or more.
    """
    if bool(uids) != (key_file is not None):
        raise UsageError("name UIDs and --key-file, or neither")
    if key_file is None:
        if count < 1:
            raise UsageError("--count is 1 or more")
        for _ in range(count):
            say(f"2.25.{uuid4().int}")
        return
    key = key_file.read_bytes().strip()
    if len(key) < _SHORTEST_KEY:
        raise UsageError(f"{key_file}: a key has {_SHORTEST_KEY} bytes or more")
    for each in uids:
        say(derive_uid(key, each))


def derive_uid(key: bytes, uid: str) -> str:
    """Return the UID that a key derives from another: of a UUID of version 8 (PS3.5 B.2)."""
    digest = bytearray(hmac.digest(key, uid.encode(), hashlib.sha256)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{UUID(bytes=bytes(digest)).int}"
