"""HTTP/1.1 on one connection: uvicorn's protocol on h11, with deadlines and limits.

uvicorn reads requests and runs the application; h11 is the strictest parser there is. What both
leave open is who may hold a connection, and for how long. A connection is in one of these states,
and in each but the second something ends it:

=======================  ============================================================
state                    ends
=======================  ============================================================
head is awaited          `timeouts.head` after it was accepted, or after the first byte
                         of a further request; bytes that come do not extend it
request is answered      by the application, and its middleware: `timeouts.body`
response is taken        `timeouts.write` after the client let the buffer fill up
rest of a body is        `timeouts.head` after the response: who asked is done, and what
awaited                  still comes is thrown away
idle                     `timeouts.idle` after the last response
closing                  `timeouts.write`, whatever is still in the buffer
=======================  ============================================================

The middle of a body whose length was said is not shown to h11, which would copy it four times: it
learns how much has passed. It parses each head, every chunk of a body that comes in chunks, and the
end of each body.

What is no HTTP is answered with a problem and the status that h11 hints at, and ends the
connection, because nobody can know where the next request would begin.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11
from h11._readers import ContentLengthReader
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from pacs_core.api.tls import describe_connection
from pacs_web.api.context import TLS_KEY
from pacs_web.corked import CorkedTransport

if TYPE_CHECKING:
    from pacs_web.config import WebTimeouts

_SENDABLE: Final = (h11.IDLE, h11.SEND_RESPONSE)
"""States in which no response has begun."""


def refusal(status: int, detail: str) -> bytes:
    """Return a whole response that ends a connection, for when there is no request to answer."""
    title = HTTPStatus(status).phrase
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


class GuardedProtocol(H11Protocol):
    """One connection.

    Parameters
    ----------
    config : uvicorn.config.Config
    state : uvicorn.server.ServerState
    timeouts : WebTimeouts
    report : callable
        Is told of the client's address and of what was wrong with what it sent.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        timeouts: "WebTimeouts",
        report: Callable[[str, str], None],
    ) -> None:
        super().__init__(config, state, {})
        self._timeouts, self._report = timeouts, report
        self.accepted_at = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    # --- what comes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.transport = self._corked = CorkedTransport(transport, self.loop)  # type: ignore[assignment]
        if secured := transport.get_extra_info("ssl_object"):
            self.app_state = {TLS_KEY: describe_connection(secured)}
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that complete a head end its deadline."""
        if self._pass_body(data):
            return
        super().data_received(data)
        has_become_a_websocket = self.transport.get_protocol() is not self
        if has_become_a_websocket or self.is_answering:
            self._disarm()
        elif self._deadline is None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._await_head()

    def _pass_body(self, data: bytes) -> bool:
        """Hand bytes over that are in the middle of a body; False if they are anything else."""
        reader = self.conn._reader
        if (
            type(reader) is not ContentLengthReader
            or len(data) >= reader._remaining
            or self.conn.trailing_data[0]
            or not self.is_answering
        ):
            return False
        reader._remaining -= len(data)
        cycle = self.cycle
        # What the application has taken is followed by these very bytes, without a copy.
        cycle.body = cycle.body + data if cycle.body else data  # type: ignore[assignment]
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()
        return True

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered on it."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and its deadlines."""
        self._disarm()
        self._disarm_writing()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and end the connection."""
        error = sys.exception()
        status = getattr(error, "error_status_hint", 400)
        detail = f"this is no HTTP request that can be answered: {error or msg}"
        self._report(self.client[0] if self.client else "", f"{status} {error or msg}")
        self.refuse(status, detail)

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem if there is no other answer yet, and end the connection."""
        has_begun = self.is_answering and self.cycle.response_started
        if self.conn.our_state in _SENDABLE and not has_begun:
            self.transport.write(refusal(status, detail))
        self.conn.send_failed()
        if self.cycle is not None:  # nothing more is to come from it, or go to it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.close()

    # --- what goes

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody reads."""
        self._disarm()
        self._corked.flush()
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_unless_taken()
        elif not self.is_answering and self.conn.their_state is h11.SEND_BODY:
            self._await_head()

    def pause_writing(self) -> None:
        """Note that the client takes less than it is sent."""
        super().pause_writing()
        self._abort_unless_taken()

    def resume_writing(self) -> None:
        """Note that the client has taken most of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._disarm_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection."""
        super().timeout_keep_alive_handler()
        self._abort_unless_taken()

    def shutdown(self) -> None:
        """End the connection, if a request is answered on it after that."""
        if not self.transport.is_closing():
            super().shutdown()
        if self.transport.is_closing():
            self._abort_unless_taken()

    def close(self) -> None:
        """End the connection once the client has taken what it was sent."""
        self.transport.close()
        self._abort_unless_taken()

    # --- deadlines

    def _await_head(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self._timeouts.head, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            detail = f"the head of the request did not come within {self._timeouts.head:g} s"
            self._report(self.client[0] if self.client else "", f"408 {detail}")
            self.transport.write(refusal(408, detail))
        self.close()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort_unless_taken(self) -> None:
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(self._timeouts.write, self._abort)

    def _abort(self) -> None:
        self._write_deadline = None
        self.transport.abort()

    def _disarm_writing(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
