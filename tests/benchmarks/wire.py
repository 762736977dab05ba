"""Just enough of PS3.7 and PS3.8 to drive a peer, encoded beforehand and patched in place.

This is written apart from the archive's own upper layer: what measures must not be what is
measured.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"

MAX_PDU = 131072
"""What this side accepts, and the most that it sends in one PDU."""

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
RELEASE_REQUEST = struct.pack(">BxI4x", RELEASE_RQ, 4)
RELEASE_RESPONSE = struct.pack(">BxI4x", RELEASE_RP, 4)

C_STORE_RQ, C_STORE_RSP, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ = (
    0x0001,
    0x8001,
    0x0010,
    0x0020,
    0x0021,
    0x0030,
)
NO_DATASET = 0x0101

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = b"1.2.826.0.1.3680043.10.1461.0"


@frozen
class Context:
    """A presentation context; `scp_role` is proposed by role selection (PS3.7 D.3.3.4)."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    scp_role: bool = False


@frozen
class Accepted:
    """What an A-ASSOCIATE-AC said: the peer's maximum length, and result by context ID."""

    max_length: int
    results: Mapping[int, int]


# --- A-ASSOCIATE (PS3.8 §9.3.2, §9.3.3)


def pdu(kind: int, body: bytes) -> bytes:
    """Return a PDU."""
    return struct.pack(">BxI", kind, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _titles(called: str, calling: str) -> bytes:
    return struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), calling.ljust(16).encode())


def _user_information(extra: bytes = b"") -> bytes:
    length = _item(0x51, struct.pack(">I", MAX_PDU))
    return _item(0x50, length + _item(0x52, _IMPLEMENTATION) + extra + _item(0x55, b"BENCHMARK"))


def associate_request(contexts: Sequence[Context], called: str, calling: str = "BENCH") -> bytes:
    """Return an A-ASSOCIATE-RQ."""
    proposed = b"".join(
        _item(
            0x20,
            struct.pack(">Bxxx", context.id)
            + _item(0x30, context.abstract_syntax.encode())
            + _item(0x40, context.transfer_syntax.encode()),
        )
        for context in contexts
    )
    roles = b"".join(
        _item(
            0x54,
            struct.pack(">H", len(context.abstract_syntax))
            + context.abstract_syntax.encode()
            + b"\1\1",
        )
        for context in contexts
        if context.scp_role
    )
    body = _titles(called, calling) + _item(0x10, _APPLICATION_CONTEXT) + proposed
    return pdu(ASSOCIATE_RQ, body + _user_information(roles))


def associate_accept(request: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC that takes all contexts of a request, as its body encodes them."""
    results = b""
    for kind, body in _items(request[68:]):
        if kind == 0x20:
            transfer = next(value for sub, value in _items(body[4:]) if sub == 0x40)
            results += _item(0x21, struct.pack(">Bxxx", body[0]) + _item(0x40, transfer))
    body = request[:68] + _item(0x10, _APPLICATION_CONTEXT) + results + _user_information()
    return pdu(ASSOCIATE_AC, body)


def parse_accept(body: bytes) -> Accepted:
    """Read the body of an A-ASSOCIATE-AC."""
    results, max_length = {}, 0
    for kind, value in _items(body[68:]):
        if kind == 0x21:
            results[value[0]] = value[2]
        elif kind == 0x50:
            for sub, data in _items(value):
                if sub == 0x51:
                    max_length = int.from_bytes(data, "big")
    return Accepted(max_length, results)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(data):
        kind, length = struct.unpack_from(">BxH", data, start)
        yield kind, data[start + 4 : start + 4 + length]
        start += 4 + length


# --- messages (PS3.7 §6.3, PS3.8 §9.3.5 and Annex E)

_US = struct.Struct("<HHIH")
_PRIORITY, _DATASET_TYPE, _MESSAGE_ID, _STATUS = 0x0700, 0x0800, 0x0110, 0x0900
_FIELD, _RESPONDED_TO, _SOP_CLASS, _SOP_INSTANCE = 0x0100, 0x0120, 0x0002, 0x1000
_MOVE_DESTINATION = 0x0600


def command(elements: Mapping[int, int | str]) -> bytes:
    """Return a command set of US and text elements, by element number."""
    body = b""
    for number, value in sorted(elements.items()):
        if isinstance(value, int):
            body += _US.pack(0, number, 2, value)
        else:
            text = value.encode()
            text += b"\0" * (len(text) % 2)
            body += struct.pack("<HHI", 0, number, len(text)) + text
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def parse_command(data: bytes) -> dict[int, bytes]:
    """Return the values of a command set, by element number."""
    values, start = {}, 0
    while start < len(data):
        number, length = struct.unpack_from("<2xHI", data, start)
        values[number] = data[start + 8 : start + 8 + length]
        start += 8 + length
    return values


def number_in(values: Mapping[int, bytes], element: int) -> int:
    """Return a US value of a command set; 0 if it is not there."""
    return int.from_bytes(values.get(element, b"\0\0")[:2], "little")


def field_of(values: Mapping[int, bytes]) -> int:
    """Return the Command Field (0000,0100)."""
    return number_in(values, _FIELD)


def status_of(values: Mapping[int, bytes]) -> int:
    """Return the Status (0000,0900)."""
    return number_in(values, _STATUS)


def has_dataset(values: Mapping[int, bytes]) -> bool:
    """Tell from Command Data Set Type (0000,0800)."""
    return number_in(values, _DATASET_TYPE) != NO_DATASET


def request(
    field: int, sop_class: str, *, dataset: bool = False, message_id: int = 1, destination: str = ""
) -> bytes:
    """Return the command set of a request."""
    elements: dict[int, int | str] = {
        _SOP_CLASS: sop_class,
        _FIELD: field,
        _MESSAGE_ID: message_id,
        _DATASET_TYPE: 0 if dataset else NO_DATASET,
    }
    if dataset:
        elements[_PRIORITY] = 0
    if destination:
        elements[_MOVE_DESTINATION] = destination
    return command(elements)


def store_request(sop_class: str, sop_instance: str) -> bytes:
    """Return the command set of a C-STORE-RQ with Message ID 1."""
    return command(
        {
            _SOP_CLASS: sop_class,
            _FIELD: C_STORE_RQ,
            _MESSAGE_ID: 1,
            _PRIORITY: 0,
            _DATASET_TYPE: 0,
            _SOP_INSTANCE: sop_instance,
        }
    )


def store_response(values: Mapping[int, bytes]) -> bytes:
    """Return the command set that answers a parsed C-STORE-RQ with success."""
    return command(
        {
            _SOP_CLASS: values[_SOP_CLASS].decode().rstrip("\0"),
            _FIELD: C_STORE_RSP,
            _RESPONDED_TO: number_in(values, _MESSAGE_ID),
            _DATASET_TYPE: NO_DATASET,
            _STATUS: 0,
            _SOP_INSTANCE: values[_SOP_INSTANCE].decode().rstrip("\0"),
        }
    )


def fragment(context: int, kind: int, data: bytes, max_length: int) -> bytes:
    """Return P-DATA-TF PDUs of one PDV each; `kind` is 1 for a command, 0 for a dataset."""
    room = min(max_length or MAX_PDU, MAX_PDU) - 6
    output = bytearray()
    for start in range(0, len(data), room) or (0,):
        piece = data[start : start + room]
        last = 2 if start + room >= len(data) else 0
        output += struct.pack(
            ">BxIIBB", P_DATA, len(piece) + 6, len(piece) + 2, context, kind | last
        )
        output += piece
    return bytes(output)


def pdvs(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield context ID, message control header and data of each PDV."""
    start = 0
    while start < len(body):
        length, context, control = struct.unpack_from(">IBB", body, start)
        yield context, control, body[start + 6 : start + 4 + length]
        start += 4 + length


class Patched:
    """An encoded message in which values of fixed length are written over, wherever they occur.

    Parameters
    ----------
    encoded : bytes
    values : sequence of str
        What to find in it; :meth:`patch` takes as many, of the same lengths.
    """

    def __init__(self, encoded: bytes, values: Sequence[str]) -> None:
        self.buffer = bytearray(encoded)
        self._places = [(places, len(v)) for v in values if (places := list(_find(encoded, v)))]
        if len(self._places) != len(values):
            raise ValueError("a value to patch is not whole in the encoded message")

    def patch(self, *values: str) -> bytearray:
        """Write values over the former ones and return the message."""
        for (places, length), value in zip(self._places, values, strict=True):
            encoded = value.encode()
            if len(encoded) != length:
                raise ValueError(f"{value!r} does not have {length} characters")
            for place in places:
                self.buffer[place : place + length] = encoded
        return self.buffer


def _find(encoded: bytes, value: str) -> Iterator[int]:
    place = -1
    while (place := encoded.find(value.encode(), place + 1)) >= 0:
        yield place
