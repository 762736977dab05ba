"""P-DATA-TF: the only PDU on the hot path, so data is never copied here (PS3.8 §9.3.5)."""

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from pacs_core.upper_layer.errors import LocalProtocolError, MalformedPDU
from pacs_core.upper_layer.limits import Limits

# Theory of operation
#
# An image of a gigabyte passes through here in pieces of some kilobytes, so that both directions
# avoid to copy. What is sent becomes a list of buffers, headers and slices of the caller's data by
# turns, for a gathering write. What is received is slices of the PDU's body, which is not changed
# any more.
#
# Several values may share a PDU. What is received is bounded in their number as well as in bytes,
# since each costs an object however short it is.

Bytes: TypeAlias = bytes | memoryview

P_DATA_TF: Final = 0x04
PDV_OVERHEAD: Final = 6
"""Bytes of a P-DATA-TF's variable field that each fragment costs: length, context, control."""
UNLIMITED_PDU_LENGTH: Final = 131072
"""What is sent to a peer that sets no maximum: larger PDUs gain nothing and cost memory."""

_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_COMMAND = 0x01
_LAST = 0x02


@frozen
class PresentationDataValue:
    """One fragment of a message (PS3.8 §9.3.5.1 and Annex E).

    Attributes
    ----------
    context_id : int
        Presentation context, odd, 1 to 255.
    is_command : bool
        Whether the fragment is of the command set rather than of the data set.
    is_last : bool
        Whether it is the last fragment of the command set or data set.
    data : bytes or memoryview
        The fragment, without the message control header; immutable when received.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: Bytes


@frozen
class PDataTF:
    """P-DATA-TF PDU (PS3.8 §9.3.5)."""

    pdvs: tuple[PresentationDataValue, ...]


def p_data_buffers(pdvs: Sequence[PresentationDataValue], maximum: int = 0) -> list[Bytes]:
    """Encode a P-DATA-TF as buffers to be sent one after the other; data is not copied.

    Parameters
    ----------
    pdvs : sequence of PresentationDataValue
    maximum : int
        PDU-length that the peer can receive, in bytes; 0 for unlimited (PS3.8 §D.1).

    Raises
    ------
    LocalProtocolError
        No values, a presentation context identifier that is not odd or not in 1 to 255, or more
        than the peer can receive.
    """
    if not pdvs:
        raise LocalProtocolError("a P-DATA-TF PDU needs at least one presentation data value")
    length = sum([len(pdv.data) + PDV_OVERHEAD for pdv in pdvs])
    if length > maximum > 0:
        raise LocalProtocolError(
            f"PDU-length {length} is above the peer's maximum {maximum}; cut the message with"
            " fragment()"
        )
    header = _PDU_HEADER.pack(P_DATA_TF, length)
    buffers: list[Bytes] = []
    for pdv in pdvs:
        if not (pdv.context_id & 1 and 0 < pdv.context_id < 256):
            raise LocalProtocolError(f"presentation context {pdv.context_id} is not odd, 1 to 255")
        control = (_COMMAND if pdv.is_command else 0) | (_LAST if pdv.is_last else 0)
        buffers.append(header + _PDV_HEADER.pack(len(pdv.data) + 2, pdv.context_id, control))
        buffers.append(pdv.data)
        header = b""
    return buffers


def decode_p_data(body: memoryview, limits: Limits) -> PDataTF:
    """Decode the variable field of a P-DATA-TF; the values are slices of `body`."""
    pdvs: list[PresentationDataValue] = []
    at, end = 0, len(body)
    while at < end:
        if len(pdvs) == limits.max_pdvs_per_pdu:
            raise MalformedPDU(f"P-DATA-TF has more than {limits.max_pdvs_per_pdu} values")
        if end - at < PDV_OVERHEAD:
            raise MalformedPDU(f"P-DATA-TF: {end - at} bytes at byte {at} are no item header")
        length, context_id, control = _PDV_HEADER.unpack_from(body, at)
        stop = at + 4 + length
        if length < 2 or stop > end:
            raise MalformedPDU(
                f"P-DATA-TF: value at byte {at} has length {length}, not 2 to {end - at - 4}"
            )
        if not context_id & 1:
            raise MalformedPDU(f"P-DATA-TF: presentation context {context_id} is not odd")
        pdvs.append(
            PresentationDataValue(
                context_id, bool(control & _COMMAND), bool(control & _LAST), body[at + 6 : stop]
            )
        )
        at = stop
    if not pdvs:
        raise MalformedPDU("P-DATA-TF has no presentation data value")
    return PDataTF(tuple(pdvs))
