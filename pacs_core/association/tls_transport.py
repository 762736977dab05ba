"""A transport connection secured by TLS."""

import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

import anyio

from pacs_core.association.transport import Transport
from pacs_core.contracts import TlsError, TlsInfo
from pacs_core.tls import describe_connection, explain

# Theory of operation
#
# The TLS machine of OpenSSL works on memory: what came from the network goes into one buffer, what
# is to be sent comes out of another, and between them are the bytes of the association. So all that
# :class:`Transport` does for plain connections holds here as well: its back-pressure in both
# directions, and that what was sent is with the operating system.
#
# asyncio's own TLS is not used for three reasons: it closes the connection of a handshake that
# fails without the alert that tells the peer why (RFC 8446 §6.2); what it has taken may not have
# been sent when the connection is closed; and it does not tell what came instead of TLS, as plain
# DICOM does.
#
# The handshake is a part of what happens before an association, under the same timer (ARTIM), and
# counts as a half-open connection: a peer that is slow holds up nobody else.

_RECORD: Final = 16 * 1024
_AT_ONCE: Final = 64 * 1024  # bytes that one receive() returns at most
_ALERT_GRACE: Final = 1.0  # seconds for a peer to read why it is refused
_HANDSHAKE, _ALERT = 0x16, 0x15  # content types of records (RFC 8446 §5.1)
_PDU_TYPES: Final = range(0x01, 0x08)


class TlsTransport(Transport):
    """One secured connection, for one task that receives and one that sends at a time.

    Parameters
    ----------
    context : SSLContext
    server_side : bool
        Whether the peer has connected to this side.
    hostname : str, optional
        What the peer's certificate must name, if the context checks that.
    """

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, hostname: str | None = None
    ) -> None:
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=hostname
        )
        self._buffer = bytearray()
        self._is_secure = False
        self._heard = False
        self._ended_by_peer = False

    async def handshake(self) -> TlsInfo:
        """See base."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._pass_on()
                await self._take_records()
            except ssl.SSLError as error:
                if self._outgoing.pending:
                    self._pass_on()
                    await self._let_read_alert()
                raise explain(error) from error
            else:
                self._pass_on()
                break
        self._is_secure = True
        self._buffer = bytearray(_AT_ONCE)
        return describe_connection(self._tls)

    async def _let_read_alert(self) -> None:
        """Wait for the peer to close.

        If this side closed while something of the peer's is unread, which in TLS 1.3 may be its
        A-ASSOCIATE-RQ, the system would reset the connection, and the peer might miss the alert.
        """
        with anyio.move_on_after(_ALERT_GRACE):
            while await super().receive():
                pass

    async def _take_records(self) -> None:
        """Wait for what belongs to the handshake.

        Raises
        ------
        TlsError
            Nothing comes, or something else.
        """
        data = await super().receive()
        if not data:
            said = "in the handshake" if self._heard else "before it said anything"
            raise TlsError(f"it closed the connection {said}", "closed")
        if not self._heard:
            self._heard = True
            if data[0] in _PDU_TYPES and data[1:2] == b"\0":
                said = f"it speaks plain DICOM (a PDU of type {data[0]:02X}H), not TLS"
                raise TlsError(said, "no-tls")
            if data[0] not in (_HANDSHAKE, _ALERT):
                said = f"what it sends is no TLS: it begins with {data[:8].hex(' ')}"
                raise TlsError(said, "no-tls")
        self._incoming.write(data)

    async def receive(self) -> bytes:
        """See base; after a failure of TLS no more will come, and :attr:`failure` says why."""
        while True:
            count = self._decrypt()
            if count:
                return bytes(memoryview(self._buffer)[:count])
            if self._ended_by_peer or self.failure is not None:
                return b""
            data = await super().receive()
            if not data:
                return b""
            self._incoming.write(data)

    def _decrypt(self) -> int:
        """Decrypt records as far as they are there and fit; return how many bytes they hold."""
        view, count = memoryview(self._buffer), 0
        try:
            while count <= _AT_ONCE - _RECORD:
                # Given a buffer it returns a number, whatever its annotation says.
                got = cast(int, self._tls.read(_RECORD, view[count:]))
                count += got
                if not got:  # close_notify
                    self._ended_by_peer = True
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.failure = explain(error)
        if self._outgoing.pending:  # an alert, or an answer to a change of keys
            if self._tls.server_side and self._tls.version() == "TLSv1.2" and not self.failure:
                # Nothing else answers what a client of TLS 1.2 sends in an association. It may go
                # on after that alert (RFC 5246 §7.2.2), and ask again and again.
                said = "it wants to renegotiate, which is refused"
                self.failure = TlsError(said, "renegotiation")
            self._pass_on()
        return count

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """See base."""
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        while data:
            data = data[self._tls.write(data) :]
        self._pass_on()

    def _pass_on(self) -> None:
        """Hand what TLS has to say to the system, unless the connection is lost."""
        if self._outgoing.pending and not self._lost and not self._transport.is_closing():
            super().write([self._outgoing.read()])

    def close(self) -> None:
        """See base; tells the peer that nothing more will come (RFC 8446 §6.1)."""
        if self._is_secure and self.is_writable and self.failure is None:
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._pass_on()
        super().close()
