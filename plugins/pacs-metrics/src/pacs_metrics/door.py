"""A port of its own for the metrics, which answers ``GET /metrics`` and closes the connection.

Theory of operation
-------------------
Whoever scrapes asks for a page of some kilobytes every quarter of a minute. So there is no
keep-alive, no body of a request is read, and a connection has ten seconds for all of it. Of more
than sixteen at a time, which no site of monitors has, the latest are closed unread: what connects
and says nothing costs a socket, and no scrape waits for it for longer than those seconds.
"""

import logging
from email.utils import formatdate
from functools import partial
from typing import Final

import anyio
import h11
from anyio.abc import SocketListener, SocketStream

from pacs_core.contracts import Node, Service, Started
from pacs_metrics.exposition import expose

logger = logging.getLogger(__name__)

_DEADLINE: Final = 10.0
_AT_ONCE: Final = 16
_HEAD: Final = 16 << 10
_MOST_UNREAD: Final = 64
"""Pieces of what nobody wants to read, of up to 64 KiB."""


class MetricsDoor(Service):
    """Answers scrapers on sockets of its own.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open = 0

    async def run(self, started: Started) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            for each in self.sockets:
                listener = await SocketListener.from_socket(each)
                tasks.start_soon(partial(listener.serve, self._serve))
            started()

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            if self._open >= _AT_ONCE:
                return
            self._open += 1
            try:
                with anyio.move_on_after(_DEADLINE):
                    await self._answer(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass
            except Exception:
                logger.exception("a scrape failed")
            finally:
                self._open -= 1

    async def _answer(self, stream: SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        is_head = False
        try:
            while not isinstance(event := connection.next_event(), h11.Request):
                if event is not h11.NEED_DATA:
                    return
                connection.receive_data(await stream.receive())
            status, content, headers = self._respond(event)
            is_head = event.method == b"HEAD"
        except h11.RemoteProtocolError as error:
            status, content, headers = error.error_status_hint, str(error).encode(), {}
        if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        fields = {
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(content)),
            "connection": "close",
            "date": formatdate(usegmt=True),
            **headers,
        }
        head = h11.Response(status_code=status, headers=list(fields.items()))
        await stream.send((connection.send(head) or b"") + (b"" if is_head else content))
        await stream.send_eof()
        # To close with something unread would reset the connection, before the answer was read.
        for _ in range(_MOST_UNREAD):
            await stream.receive()

    def _respond(self, request: h11.Request) -> tuple[int, bytes, dict[str, str]]:
        if request.target.partition(b"?")[0] not in (b"/metrics", b"/metrics/"):
            return 404, b"the metrics are at /metrics\n", {}
        if request.method not in (b"GET", b"HEAD"):
            return 405, b"only GET and HEAD\n", {"allow": "GET, HEAD"}
        accept = dict(request.headers).get(b"accept", b"").decode("latin-1")
        content, media_type = expose(self._node.meter, accept)
        return 200, content, {"content-type": media_type, "cache-control": "no-store"}
