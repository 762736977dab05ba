"""Pseudonyms that are computed from a secret key: the same in each run, without a table."""

import hmac
from base64 import b32encode
from typing import Final
from uuid import UUID

from attrs import field, frozen
from attrs.validators import min_len

# Theory of operation
#
# A pseudonym is HMAC-SHA-256 of what it replaces, under a key that only the owner has. Nobody
# without the key can compute it from a guessed Patient ID, as they could from a plain digest; who
# has the key finds the same pseudonym again, in another run and on another machine, so that studies
# that follow and references between instances hold. Kinds of pseudonyms are kept apart: that a UID
# and an identifier have the same text gives nothing away.

MIN_KEY: Final = 16
"""Bytes that a key has at least."""

WELL_KNOWN: Final = "1.2.840.10008."
"""Root of UIDs that the standard defines (PS3.6 Annex A): they say nothing about anybody."""


@frozen
class Pseudonyms:
    """Pseudonyms under a key.

    Attributes
    ----------
    key : bytes
        At least :data:`MIN_KEY` bytes.
    """

    key: bytes = field(repr=False, validator=min_len(MIN_KEY))

    def uid(self, uid: str) -> str:
        """Return the UID that replaces another, in the form of PS3.5 B.2 (2.25 and a UUID)."""
        # Version 8 is for values that are computed in a way of one's own (RFC 9562 §5.8).
        number = int.from_bytes(self._mac("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        number = number & ~(0b11 << 62) | 0b10 << 62
        return f"2.25.{UUID(int=number).int}"

    def identifier(self, kind: str, *parts: str) -> str:
        """Return twelve letters and digits that replace an identifier."""
        return b32encode(self._mac(kind, *parts)).decode()[:12]

    def shift(self, patient: str, most: int) -> int:
        """Return by how many days the dates of a patient move: from -most to -1."""
        number = int.from_bytes(self._mac("shift", patient)[:8], "big")
        return -1 - number % most

    def _mac(self, *parts: str) -> bytes:
        encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
        return hmac.digest(self.key, message, "sha256")
