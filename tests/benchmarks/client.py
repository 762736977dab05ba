"""A blocking DICOM client on a bare socket: one system call to send a message, few to receive."""

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from attrs import define, field, frozen

from . import wire

TIMEOUT = 120
"""Seconds that a peer may be silent, or not take anything."""

_BUFFER = 1 << 20
_PENDING = frozenset({0xFF00, 0xFF01})


class PeerError(Exception):
    """The peer did not do what it should; a measurement of it would mean nothing."""


class PduReader:
    """Cuts what a socket receives into PDUs, in one buffer that is never copied whole."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._view = memoryview(bytearray(_BUFFER))
        self._start = self._end = 0

    def next(self) -> tuple[int, memoryview]:
        """Return type and body of the next PDU; the body is good until the next call."""
        self._fill(6)
        kind, length = struct.unpack_from(">BxI", self._view, self._start)
        if length + 6 > _BUFFER:
            raise PeerError(f"a PDU of {length} bytes came")
        self._fill(length + 6)
        body = self._view[self._start + 6 : self._start + 6 + length]
        self._start += 6 + length
        return kind, body

    def _fill(self, count: int) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        if self._start + count > _BUFFER:
            left = self._end - self._start
            self._view[:left] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, left
        while self._end - self._start < count:
            try:
                received = self._socket.recv_into(self._view[self._end :])
            except BlockingIOError:
                raise PeerError(f"the peer said nothing for {TIMEOUT} s") from None
            if not received:
                raise PeerError("the peer closed the connection")
            self._end += received


@frozen
class Message:
    """A command set that came, and how many bytes of dataset came with it."""

    context: int
    command: dict[int, bytes]
    dataset_bytes: int


def tune(sock: socket.socket) -> socket.socket:
    """Let a socket send at once, and block in the kernel with a time limit."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    limit = struct.pack("ll", TIMEOUT, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    return sock


def _anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def messages(reader: PduReader) -> Iterator[Message | None]:
    """Yield messages that come; None when the peer asks to release the association."""
    encoded, values, size = bytearray(), dict[int, bytes](), 0
    while True:
        kind, body = reader.next()
        if kind == wire.RELEASE_RQ:
            yield None
            continue
        if kind != wire.P_DATA:
            raise PeerError(f"PDU type {kind} came: {bytes(body[:8]).hex(' ')}")
        for context, control, data in wire.pdvs(body):
            if control & 1:
                encoded += data
            else:
                size += len(data)
            if not control & 2:
                continue
            if control & 1:
                values = wire.parse_command(bytes(encoded))
                encoded.clear()
                if wire.has_dataset(values):
                    continue
            yield Message(context, values, size)
            size = 0


@define
class Client:
    """An association; leaving the ``with`` block releases it.

    Parameters
    ----------
    port : int
        On the loopback interface.
    contexts : sequence of wire.Context
    called : str
        AE title of the peer.
    tls : bool
        Whether the connection is secured; whoever answers is believed.
    """

    port: int
    contexts: Sequence[wire.Context]
    called: str = "ANY-SCP"
    calling: str = "BENCH"
    tls: bool = False
    max_length: int = 0
    _socket: socket.socket = field(init=False)
    _messages: Iterator[Message | None] = field(init=False)
    _reader: PduReader = field(init=False)

    def __enter__(self) -> "Client":
        """Connect and negotiate; every context has to be accepted."""
        self._socket = tune(socket.create_connection(("127.0.0.1", self.port)))
        if self.tls:
            self._socket = _anybody().wrap_socket(self._socket)
        self._reader = PduReader(self._socket)
        self._socket.sendall(wire.associate_request(self.contexts, self.called, self.calling))
        kind, body = self._reader.next()
        if kind != wire.ASSOCIATE_AC:
            self._socket.close()
            raise PeerError(f"no association: PDU type {kind}, {bytes(body).hex(' ')}")
        accepted = wire.parse_accept(bytes(body))
        refused = [context.id for context in self.contexts if accepted.results.get(context.id)]
        if refused:
            self._socket.close()
            raise PeerError(f"presentation contexts {refused} were refused")
        self.max_length = accepted.max_length
        self._messages = messages(self._reader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the association, wait for the answer, and close."""
        with self._socket:
            if error is None:
                self._socket.sendall(wire.RELEASE_REQUEST)
                reply, _ = self._reader.next()
                if reply != wire.RELEASE_RP:
                    raise PeerError(f"PDU type {reply} answered A-RELEASE-RQ")

    def encode(self, context: int, command: bytes, dataset: bytes = b"") -> bytes:
        """Return a message in PDUs as large as the peer takes."""
        encoded = wire.fragment(context, 1, command, self.max_length)
        if dataset:
            encoded += wire.fragment(context, 0, dataset, self.max_length)
        return encoded

    def send(self, *buffers: bytes | bytearray | memoryview) -> None:
        """Send encoded PDUs in one system call; what it leaves over, in further ones."""
        if self.tls:  # which sends records, not what lies scattered
            self._socket.sendall(b"".join(buffers))
            return
        sent = self._socket.sendmsg(buffers)
        for buffer in buffers:
            if sent < len(buffer):
                self._socket.sendall(memoryview(buffer)[sent:])
            sent = max(0, sent - len(buffer))

    def stream(self, context: int, dataset: Iterable[bytes]) -> None:
        """Send a dataset that is made while it is sent."""
        room = min(self.max_length or wire.MAX_PDU, wire.MAX_PDU) - 6
        pending = bytearray()
        for piece in dataset:
            pending += piece
            while len(pending) > room:
                head = struct.pack(">BxIIBB", wire.P_DATA, room + 6, room + 2, context, 0)
                self.send(head, pending[:room])
                del pending[:room]
        self.send(wire.fragment(context, 0, bytes(pending), self.max_length))

    def receive(self) -> Message:
        """Return the next message."""
        message = next(self._messages)
        if message is None:
            raise PeerError("the peer released the association")
        return message

    def confirm(self) -> Message:
        """Return the response to what was sent, which has to be a success."""
        message = self.receive()
        status = wire.status_of(message.command)
        if status:
            comment = message.command.get(0x0902, b"").decode(errors="replace")
            raise PeerError(f"status {status:04X}H {comment}")
        return message

    def responses(self) -> Iterator[Message]:
        """Yield pending responses, and the last one, which has to be a success.

        Requests for C-STORE sub-operations are answered, and yielded as well.
        """
        while True:
            message = self.receive()
            if wire.field_of(message.command) == wire.C_STORE_RQ:
                answer = wire.store_response(message.command)
                self.send(wire.fragment(message.context, 1, answer, self.max_length))
                yield message
                continue
            yield message
            status = wire.status_of(message.command)
            if status in _PENDING:
                continue
            if status:
                raise PeerError(f"the last response has status {status:04X}H")
            return
