"""The seven PDUs of the upper layer and their encoding (PS3.8 §9.3)."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, TypeAlias

from attrs import frozen

from pacs_core.upper_layer.associate import (
    AssociateAC,
    AssociateRQ,
    decode_associate_ac,
    decode_associate_rq,
    encode_associate_ac,
    encode_associate_rq,
)
from pacs_core.upper_layer.errors import AbortReason, MalformedPDU
from pacs_core.upper_layer.limits import Limits
from pacs_core.upper_layer.p_data import P_DATA_TF, PDataTF, decode_p_data, p_data_buffers
from pacs_core.upper_layer.rejection import AssociateRJ
from pacs_core.upper_layer.wire import pack_uint

# Theory of operation
#
# Encoding and decoding are tables by type of PDU; P-DATA-TF has a module of its own, since it alone
# is on the hot path. Decoding gets the body only: framing has read the header before, because it
# decides by type and length whether a body is waited for at all.

HEADER_LENGTH = 6

FIXED_LENGTH = 4


class PDUType(IntEnum):
    """PDU-type field (PS3.8 §9.3.1)."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = P_DATA_TF
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


@frozen
class ReleaseRQ:
    """A-RELEASE-RQ PDU (PS3.8 §9.3.6)."""


@frozen
class ReleaseRP:
    """A-RELEASE-RP PDU (PS3.8 §9.3.7)."""


@frozen
class Abort:
    """A-ABORT PDU (PS3.8 §9.3.8); `reason` means nothing unless `source` is the provider."""

    source: int = 0
    reason: int = 0


PDU: TypeAlias = AssociateRQ | AssociateAC | AssociateRJ | PDataTF | ReleaseRQ | ReleaseRP | Abort


def encode(pdu: PDU) -> bytes:
    """Encode a PDU with its header.

    Raises
    ------
    LocalProtocolError
        A value cannot be encoded: an AE title too long, an invalid UID, an even identifier.
    """
    if isinstance(pdu, PDataTF):
        return b"".join(p_data_buffers(pdu.pdvs))
    kind, pack = _ENCODERS[type(pdu)]
    body = pack(pdu)
    return bytes((kind, 0)) + pack_uint(len(body), 4, "PDU length") + body


def decode(data: bytes | memoryview, limits: Limits | None = None) -> PDU:
    """Decode one whole PDU with its header.

    Raises
    ------
    MalformedPDU
        The bytes are not one valid PDU; it carries the reason for the A-ABORT.
    """
    view = memoryview(data)
    if len(view) < HEADER_LENGTH:
        raise MalformedPDU(f"a PDU header has {HEADER_LENGTH} bytes, {len(view)} were given")
    length = int.from_bytes(view[2:HEADER_LENGTH], "big")
    if HEADER_LENGTH + length != len(view):
        raise MalformedPDU(f"PDU-length is {length}, {len(view) - HEADER_LENGTH} bytes follow")
    return decode_body(view[0], view[HEADER_LENGTH:], limits or Limits())


def decode_body(kind: int, body: memoryview, limits: Limits) -> PDU:
    """Decode what follows the header of a PDU of type `kind`; raises MalformedPDU."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise MalformedPDU(f"PDU type {kind:02X}H is unknown", AbortReason.UNRECOGNIZED_PDU)
    return decoder(body, limits)


def _unpack_fixed(body: memoryview, what: str) -> memoryview:
    if len(body) != FIXED_LENGTH:
        raise MalformedPDU(f"{what} has PDU-length {len(body)}, not {FIXED_LENGTH}")
    return body


def _decode_associate_rj(body: memoryview, _limits: Limits) -> AssociateRJ:
    _, result, source, reason = _unpack_fixed(body, "A-ASSOCIATE-RJ")
    return AssociateRJ(result, source, reason)


def _decode_release_rq(body: memoryview, _limits: Limits) -> ReleaseRQ:
    _unpack_fixed(body, "A-RELEASE-RQ")
    return ReleaseRQ()


def _decode_release_rp(body: memoryview, _limits: Limits) -> ReleaseRP:
    _unpack_fixed(body, "A-RELEASE-RP")
    return ReleaseRP()


def _decode_abort(body: memoryview, _limits: Limits) -> Abort:
    _, _, source, reason = _unpack_fixed(body, "A-ABORT")
    return Abort(source, reason)


_DECODERS: Mapping[int, Callable[[memoryview, Limits], PDU]] = {
    PDUType.ASSOCIATE_RQ: decode_associate_rq,
    PDUType.ASSOCIATE_AC: decode_associate_ac,
    PDUType.ASSOCIATE_RJ: _decode_associate_rj,
    PDUType.P_DATA_TF: decode_p_data,
    PDUType.RELEASE_RQ: _decode_release_rq,
    PDUType.RELEASE_RP: _decode_release_rp,
    PDUType.ABORT: _decode_abort,
}


def _encode_associate_rj(pdu: AssociateRJ) -> bytes:
    return b"\0" + b"".join(
        pack_uint(value, 1, "rejection field") for value in (pdu.result, pdu.source, pdu.reason)
    )


def _encode_release(_pdu: ReleaseRQ | ReleaseRP) -> bytes:
    return bytes(FIXED_LENGTH)


def _encode_abort(pdu: Abort) -> bytes:
    source = pack_uint(pdu.source, 1, "abort source")
    return bytes(2) + source + pack_uint(pdu.reason, 1, "abort reason")


_ENCODERS: Mapping[type, tuple[PDUType, Callable[[Any], bytes]]] = {
    AssociateRQ: (PDUType.ASSOCIATE_RQ, encode_associate_rq),
    AssociateAC: (PDUType.ASSOCIATE_AC, encode_associate_ac),
    AssociateRJ: (PDUType.ASSOCIATE_RJ, _encode_associate_rj),
    ReleaseRQ: (PDUType.RELEASE_RQ, _encode_release),
    ReleaseRP: (PDUType.RELEASE_RP, _encode_release),
    Abort: (PDUType.ABORT, _encode_abort),
}
