"""Cutting the received byte stream into PDUs, without copying where a PDU came in one piece."""

import struct
from collections.abc import Iterator

from pacs_core.upper_layer.errors import AbortReason, MalformedPDU
from pacs_core.upper_layer.limits import Limits
from pacs_core.upper_layer.p_data import Bytes
from pacs_core.upper_layer.pdu import FIXED_LENGTH, HEADER_LENGTH, PDUType

# Theory of operation
#
# The stream is cut by the six bytes that begin each PDU. While whole PDUs arrive, they are handed
# out as views of the chunk they came in, and nothing is copied. Only a PDU that is cut by the
# chunk's end is kept: its pieces in a list, joined once when the last is there.
#
# Two ways to make that expensive are closed. The length is compared with the cap of its type before
# any of the body is kept. And small pieces are gathered in one bytearray, since each piece by
# itself would keep alive the whole buffer it is a view of, and cost an object.

_HEADER = struct.Struct(">BxI")
# What other protocols begin with, which are sent to a wrong port.
_FOREIGN = {
    0x16: "TLS",  # a handshake (RFC 8446 §5.1)
    **dict.fromkeys(b"GHPDOC", "HTTP"),  # GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT
    0x0B: "HL7 v2",  # <VT>, the start of a block of MLLP
}

# Pieces below this are gathered in a bytearray, so that a peer that dribbles single bytes costs
# neither an object for each nor the whole read that a tail of a few bytes came in.
_SMALL = 4096


class Framer:
    """Holds at most one incomplete PDU; knows PDU types and lengths, not contents.

    Parameters
    ----------
    limits : Limits
        Checked against the header, before any of the body is kept.
    """

    __slots__ = ("_caps", "_have", "_held", "_need")

    def __init__(self, limits: Limits) -> None:
        self._caps: dict[int, int] = {
            **dict.fromkeys(PDUType, FIXED_LENGTH),
            PDUType.ASSOCIATE_RQ: limits.max_associate_pdu_length,
            PDUType.ASSOCIATE_AC: limits.max_associate_pdu_length,
            PDUType.P_DATA_TF: limits.max_pdu_length,
        }
        self.clear()

    def clear(self) -> None:
        """Forget an incomplete PDU and free its memory."""
        self._held: list[Bytes | bytearray] = []
        self._have = 0
        self._need = HEADER_LENGTH

    @property
    def held(self) -> int:
        """Bytes of an incomplete PDU that are kept."""
        return self._have

    def feed(self, data: bytes) -> Iterator[tuple[int, memoryview]]:
        """Yield type and body of each PDU that `data` completes; to be exhausted before the next.

        Raises
        ------
        MalformedPDU
            The type is unknown or the length above its cap. Where the next PDU would begin is not
            known then: nothing more may be fed.
        """
        view = memoryview(data)
        at = 0
        if self._have:
            at = self._resume(view)
            if self._have < self._need:
                return
            whole = memoryview(b"".join(self._held))
            self.clear()
            yield whole[0], whole[HEADER_LENGTH:]
        while len(view) - at >= HEADER_LENGTH:
            kind, length = self._check(view[at : at + HEADER_LENGTH])
            end = at + HEADER_LENGTH + length
            if end > len(view):
                self._need = HEADER_LENGTH + length
                break
            yield kind, view[at + HEADER_LENGTH : end]
            at = end
        self._hold(view[at:])

    def _resume(self, view: memoryview) -> int:
        """Hold what the incomplete PDU lacks and return how many bytes that took."""
        taken = 0
        if self._have < HEADER_LENGTH:
            taken = min(HEADER_LENGTH - self._have, len(view))
            self._hold(view[:taken])
            if self._have < HEADER_LENGTH:
                return taken
            self._need += self._check(self._held[0])[1]
        rest = view[taken : taken + self._need - self._have]
        self._hold(rest)
        return taken + len(rest)

    def _hold(self, piece: memoryview) -> None:
        self._have += len(piece)
        if len(piece) >= _SMALL:
            self._held.append(piece)
        elif self._held and isinstance(last := self._held[-1], bytearray):
            last += piece
        elif len(piece):
            self._held.append(bytearray(piece))

    def _check(self, header: Bytes | bytearray) -> tuple[int, int]:
        kind, length = _HEADER.unpack_from(header)
        cap = self._caps.get(kind)
        if cap is None:
            foreign = _FOREIGN.get(kind)
            what = f", as if of {foreign}, which is not spoken on this port" if foreign else ""
            detail = f"PDU type {kind:02X}H is unknown{what}"
            raise MalformedPDU(detail, AbortReason.UNRECOGNIZED_PDU)
        if length > cap:
            raise MalformedPDU(f"{PDUType(kind).name} has PDU-length {length}, above {cap}")
        return kind, length
