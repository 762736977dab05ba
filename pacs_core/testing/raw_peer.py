"""A peer that says whatever a test wants, byte by byte: for what a good requestor never does."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Final, Self

from attrs import define

from pacs_core.contracts import Peer
from pacs_core.dimse import Command, decode_command, encode_message
from pacs_core.upper_layer import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    PDataTF,
    UserInformation,
    decode,
    encode,
)

RELEASE_RQ: Final = bytes.fromhex("05000000000400000000")
RELEASE_RP: Final = bytes.fromhex("06000000000400000000")
_ABORT = 0x07
_MAXIMUM_LENGTH = 16384
_PATIENCE = 60.0


def abort_pdu(source: int, reason: int) -> bytes:
    """Return an A-ABORT (PS3.8 §9.3.8)."""
    return bytes([_ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason])


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""
    return bytes([3, 0, 0, 0, 0, 4, 0, result, source, reason])


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Return a PDU of any type, whose length may be a lie (PS3.8 §9.3.1)."""
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def pdv(context: int, control: int, data: bytes, length: int | None = None) -> bytes:
    """Return a presentation data value, whose length may be a lie (PS3.8 §9.3.5.1)."""
    size = len(data) + 2 if length is None else length
    return struct.pack(">IBB", size, context, control) + data


@define
class RawPeer:
    """A blocking socket with just enough protocol to get into trouble.

    What it is told to send it sends, right or wrong; what it reads must be right, or an
    AssertionError says so.
    """

    socket: socket.socket

    @property
    def port(self) -> int:
        """The local port."""
        return int(self.socket.getsockname()[1])

    def send(self, *parts: bytes) -> Self:
        """Send bytes as they are."""
        self.socket.sendall(b"".join(parts))
        return self

    def read_exactly(self, size: int) -> bytes | None:
        """Return `size` bytes, or None where the connection ends first."""
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self.socket.recv(size - len(data))
            except ConnectionError:
                return None
            if not chunk:
                return None
            data += chunk
        return bytes(data)

    def read_pdu(self) -> bytes | None:
        """Return a whole PDU, or None at the end of the connection."""
        header = self.read_exactly(6)
        if header is None:
            return None
        body = self.read_exactly(struct.unpack_from(">I", header, 2)[0])
        return None if body is None else header + body

    def read_abort(self) -> bytes | None:
        """Return the A-ABORT that comes, sooner or later, or None if the connection ends first."""
        while (pdu := self.read_pdu()) is not None and pdu[0] != _ABORT:
            pass
        return pdu

    def until_closed(self) -> list[bytes]:
        """Return all PDUs that come before the connection ends."""
        return list(iter(self.read_pdu, None))

    def associate(self, request: AssociateRQ) -> AssociateAC:
        """Send a request, which must be accepted."""
        self.send(encode(request))
        answer = self.read_pdu()
        assert answer is not None
        response = decode(answer)
        assert isinstance(response, AssociateAC)
        return response

    def accept(self, *results: ContextResult, user: UserInformation | None = None) -> AssociateRQ:
        """Read an A-ASSOCIATE-RQ and accept it; return it."""
        received = self.read_pdu()
        assert received is not None
        request = decode(received)
        assert isinstance(request, AssociateRQ)
        information = user or UserInformation(_MAXIMUM_LENGTH, "1.2.3.4")
        self.send(encode(AssociateAC("", "", results, information)))
        return request

    def message(self, context: int, command: Command, dataset: bytes | None = None) -> Self:
        """Send a message, each PDV in a PDU of its own."""
        groups = encode_message(context, command, dataset, _MAXIMUM_LENGTH)
        return self.send(*(encode(PDataTF(tuple(pdvs))) for pdvs in groups))

    def response(self) -> tuple[Command, bytes]:
        """Read a message: its command and, where it has one, its dataset."""
        command = decode_command(self._read_part(is_command=True))
        return command, self._read_part(is_command=False) if command.has_dataset else b""

    def _read_part(self, *, is_command: bool) -> bytes:
        data = b""
        while True:
            pdu = self.read_pdu()
            assert pdu is not None, "the connection ended within a message"
            p_data = decode(pdu)
            assert isinstance(p_data, PDataTF), p_data
            for pdv in p_data.pdvs:
                assert pdv.is_command is is_command
                data += pdv.data
                if pdv.is_last:
                    return data

    def release(self) -> None:
        """Release the association in order, and close."""
        self.send(RELEASE_RQ)
        assert self.read_pdu() == RELEASE_RP
        self.close()

    def reset(self) -> None:
        """Close with RST rather than FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


@contextmanager
def raw_server(script: Callable[[RawPeer], object]) -> Iterator[Peer]:
    """Run a server whose first connection is served by a script in a thread, and that is all.

    Parameters
    ----------
    script : callable
        Talks to the requestor; that the requestor hangs up ends it.
    """

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(_PATIENCE)
        with connection, suppress(OSError):
            script(RawPeer(connection))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_PATIENCE)
        thread = Thread(target=serve)
        thread.start()
        try:
            yield Peer("SERVER", "127.0.0.1", listener.getsockname()[1])
        finally:
            thread.join()
