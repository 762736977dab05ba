"""Bounded reading and checked writing of the items nested in A-ASSOCIATE PDUs."""

import re
from collections.abc import Iterator

from pacs_core.upper_layer.errors import AbortReason, LocalProtocolError, MalformedPDU

# Theory of operation
#
# Items nest by lengths, and every length is a claim of the peer. So each item is read by a reader
# of its own, on a view of just the bytes that its parent has granted: whatever an inner length
# says, it cannot reach beyond. Views are not copies; a hostile PDU costs no memory but its own.
#
# What it could cost is time, by a million empty items. Hence a budget for the items of a PDU, which
# all its readers share.
#
# Reading puts up with padding and with what C programs leave behind a NUL. Writing checks
# everything: what it refuses is a mistake of this side, a LocalProtocolError.

AE_TITLE_LENGTH = 16

_UID = re.compile(rb"[0-9.]{1,64}")
_AE_TITLE = re.compile(rb"[\x20-\x7e]*")


class ByteReader:
    """A read position in one item's bytes, which it can never leave.

    Parameters
    ----------
    view : memoryview
        The value of the item: no more than its parent granted.
    where : str
        Names the item in errors.
    budget : Iterator[int]
        Shared by all cursors of one PDU; each item read consumes one element.
    """

    __slots__ = ("_at", "_budget", "_view", "where")

    def __init__(self, view: memoryview, where: str, budget: Iterator[int]) -> None:
        self._view = view
        self._at = 0
        self._budget = budget
        self.where = where

    def take(self, size: int, what: str) -> memoryview:
        """Return the next `size` bytes, or raise MalformedPDU where they are not all there."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._view):
            raise self.fault(
                f"{what} at byte {start} has {size} bytes, {len(self._view) - start} remain"
            )
        return self._view[start : self._at]

    def uint(self, size: int, what: str) -> int:
        """Return the next `size` bytes as a big-endian unsigned integer."""
        return int.from_bytes(self.take(size, what), "big")

    def read_counted(self, what: str) -> memoryview:
        """Return the bytes announced by a two-byte length."""
        return self.take(self.uint(2, f"length of {what}"), what)

    def part(self, what: str) -> "ByteReader":
        """Return a cursor over the bytes announced by a two-byte length."""
        return ByteReader(self.read_counted(what), f"{self.where}, {what}", self._budget)

    def all_counted(self, what: str) -> Iterator[memoryview]:
        """Yield each value announced by a two-byte length, up to the end."""
        while self._at < len(self._view):
            self._spend()
            yield self.read_counted(what)

    def rest(self) -> memoryview:
        """Return all that remains."""
        return self.take(len(self._view) - self._at, "remainder")

    def items(self) -> Iterator[tuple[int, "ByteReader"]]:
        """Yield the type and the value of each item up to the end (PS3.8 §9.3.2)."""
        while self._at < len(self._view):
            kind, _reserved = self.take(2, "item header")
            value = self.read_counted(f"item {kind:02X}H")
            self._spend()
            yield kind, ByteReader(value, f"{self.where}, item {kind:02X}H", self._budget)

    def uid(self, data: memoryview) -> str:
        """Check and return a UID (PS3.8 Annex F); trailing padding is not significant."""
        value = self.optional_uid(data)
        if not value:
            raise self.fault(f"{bytes(data[:80])!r} is not a UID")
        return value

    def optional_uid(self, data: memoryview) -> str:
        """Return a UID like :meth:`uid`; nothing if it is empty or none."""
        value = bytes(data).rstrip(b"\0 ")
        return value.decode("ascii") if _UID.fullmatch(value) else ""

    def ae_title(self, what: str) -> str:
        """Check and return an AE title: leading and trailing spaces are not significant.

        Some peers end it as C does: what follows a NUL is what was in the memory there before.
        """
        value, _, _ = bytes(self.take(AE_TITLE_LENGTH, what)).partition(b"\0")
        if not _AE_TITLE.fullmatch(value):
            raise self.fault(f"{what} {value!r} has characters outside ISO 646 Basic G0")
        return value.decode("ascii").strip(" ")

    def _spend(self) -> None:
        if next(self._budget, None) is None:
            raise self.fault("more items in one PDU than this node accepts")

    def fault(
        self, detail: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE
    ) -> MalformedPDU:
        """Return the error for this item, for the caller to raise."""
        return MalformedPDU(f"{self.where}: {detail}", reason)


def pack_uint(value: int, size: int, what: str) -> bytes:
    """Encode a big-endian unsigned integer; LocalProtocolError if it does not fit."""
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise LocalProtocolError(f"{what} {value} does not fit in {size} bytes") from None


def pack_counted(value: bytes, what: str) -> bytes:
    """Encode bytes after their two-byte length."""
    return pack_uint(len(value), 2, f"length of {what}") + value


def pack_item(kind: int, value: bytes) -> bytes:
    """Encode an item: type, reserved byte, length, value."""
    return bytes((kind, 0)) + pack_counted(value, f"item {kind:02X}H")


def pack_uid(uid: str) -> bytes:
    """Encode a UID without padding (PS3.8 Annex F)."""
    value = uid.encode("ascii", "replace")
    if not _UID.fullmatch(value):
        raise LocalProtocolError(f"{uid!r} is not a UID (PS3.5 §9.1)")
    return value


def pack_ae_title(title: str) -> bytes:
    """Encode an AE title in its 16 bytes (PS3.8 §9.3.2)."""
    value = title.encode("ascii", "backslashreplace")
    if not _AE_TITLE.fullmatch(value) or not title.isascii() or len(value) > AE_TITLE_LENGTH:
        raise LocalProtocolError(
            f"AE title {title!r} is not 16 or fewer printable ASCII characters"
        )
    return value.ljust(AE_TITLE_LENGTH)
