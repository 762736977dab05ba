"""Passwords: their hashes by argon2id (RFC 9106), and what was right a moment ago.

Hashing takes a tenth of a second and 64 MiB on purpose. Clients that send their password with each
request would pay that each time, so what was right is remembered for a minute, by a digest with a
key that only this process has; the hash is part of it, so that a changed password is another.
"""

import hmac
import secrets
from collections import OrderedDict
from functools import cache
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12
LONGEST: Final = 1024
"""Bytes; what is longer is not looked at."""

_REMEMBERED: Final = 256
_SECONDS: Final = 60.0


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return _hasher().hash(password)


@cache
def _nobodys_hash() -> str:
    return hash_password(secrets.token_urlsafe(32))


def is_password(hashed: str | None, password: str) -> bool:
    """Tell whether a password is right.

    Parameters
    ----------
    hashed : str or None
        None where there is no user: that takes as long, and is False.
    password : str
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(hashed or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


def should_rehash(hashed: str) -> bool:
    """Tell whether a hash was made with other parameters than now."""
    return _hasher().check_needs_rehash(hashed)


class RecentPasswords:
    """Passwords that were right."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def knows(self, hashed: str, password: str) -> bool:
        """Tell whether a password was right for a hash within the last minute."""
        return self._until.get(self._digest(hashed, password), 0.0) > monotonic()

    def note(self, hashed: str, password: str) -> None:
        """Remember that a password is right for a hash."""
        digest = self._digest(hashed, password)
        self._until[digest] = monotonic() + _SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > _REMEMBERED:
            self._until.popitem(last=False)

    def _digest(self, hashed: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{hashed}\0{password}".encode(), sha256)
