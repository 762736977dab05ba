"""Server of one worker: accepts connections, holds them to their limits, and drains.

uvicorn's own server takes signals, wakes ten times a second, and accepts as many connections at a
time as wait, so that the worker that is awake takes them from the others. This one accepts one at a
time from sockets that all workers share, and ends when it is cancelled.
"""

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ssl import SSLContext, SSLError
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from anyio.abc import TaskGroup
from uvicorn.config import Config
from uvicorn.server import ServerState

from pacs_core.api.tls import explain
from pacs_core.contracts import TlsConfigError
from pacs_web.config import CurrentConfig
from pacs_web.protocol import GuardedProtocol, refusal
from pacs_web.proxies import Proxies

if TYPE_CHECKING:
    from pacs_web.websocket import GuardedWebSocket

logger = logging.getLogger("pacs_web")

_PAUSE: Final = 0.1  # seconds without accepting after an error such as EMFILE
_MOST_OF_MESSAGE: Final = 1 << 20  # bytes of what comes over a WebSocket in one piece
_LOOK_AGAIN: Final = 0.02  # seconds between looks at what still runs while draining


class HttpServer:
    """Answers with an ASGI application on listening sockets.

    Parameters
    ----------
    application : ASGI application
    current : CurrentConfig
    report : callable
        Is told of the client's address and of why it was refused.
    tls_context : callable, optional
        Returns the context for a connection, if it is to be secured.
    """

    def __init__(
        self,
        application: object,
        current: CurrentConfig,
        report: Callable[[str, str], None],
        tls_context: Callable[[], SSLContext] | None = None,
    ) -> None:
        config = current.config
        # What it says is said by the middleware, with the address, and with what was asked.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._uvicorn = Config(
            application,  # type: ignore[arg-type]
            loop="none",
            http=GuardedProtocol,
            ws=_begin_websocket,  # type: ignore[arg-type]
            ws_max_size=_MOST_OF_MESSAGE,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=config.timeouts.idle,  # type: ignore[arg-type]
            h11_max_incomplete_event_size=config.max_head,
        )
        self._uvicorn.load()
        self._current, self._report = current, report
        self._proxies = Proxies(config.trusted_proxies)
        self._state = ServerState()
        self._tls_context = tls_context
        self._handshakes: Counter[str] = Counter()
        self.is_draining = False

    @property
    def _connections(self) -> "tuple[GuardedProtocol | GuardedWebSocket, ...]":
        connections = tuple(self._state.connections)
        return cast("tuple[GuardedProtocol | GuardedWebSocket, ...]", connections)

    async def serve(self, sockets: Sequence[socket.socket], grace: float) -> None:
        """Answer until cancelled; then let what is being answered finish, for `grace` seconds."""
        try:
            async with anyio.create_task_group() as tasks:
                for each in sockets:
                    tasks.start_soon(self._accept, each, tasks)
        finally:
            with anyio.CancelScope(shield=True):
                await self._drain(grace)

    async def _accept(self, listening: socket.socket, tasks: TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno == errno.EINVAL:  # it listens no more: the node is about to end
                    return
                logger.warning("cannot accept connections: %s", error.strerror or error)
                await anyio.sleep(_PAUSE)
                continue
            host = str(address[0])
            if reason := self._make_room(host):
                self._report(host, f"503 {reason}")
                _refuse(connection, "" if self._tls_context else reason)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls_context is not None:
                # Whoever is slow to shake hands holds up nobody else.
                tasks.start_soon(self._secure, connection, host, self._tls_context)
                continue
            with suppress(OSError):  # it has gone
                await loop.connect_accepted_socket(self._protocol, connection)

    async def _secure(
        self, connection: socket.socket, host: str, context: Callable[[], SSLContext]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._handshakes[host] += 1
        try:
            await loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context(),
                ssl_handshake_timeout=self._current.config.timeouts.head,
            )
        except TlsConfigError as error:
            connection.close()
            self._report(host, f"TLS: {error}")
        except SSLError as error:
            self._report(host, f"TLS: {explain(error)}")
        except OSError as error:  # it has gone, or was too slow
            self._report(host, f"TLS: the handshake did not end: {error}")
        finally:
            self._handshakes -= Counter((host,))

    def _protocol(self) -> GuardedProtocol:
        timeouts = self._current.config.timeouts
        return GuardedProtocol(self._uvicorn, self._state, timeouts, self._report)

    def _make_room(self, host: str) -> str:
        """Return why a host may not have one more connection; empty if it may.

        Where there are too many, the oldest makes way on which nothing is being answered.
        """
        everyone = [each for each in self._connections if not each.transport.is_closing()]
        own = [each for each in everyone if each.client and each.client[0] == host]
        config = self._current.config
        limit = config.connections_per_address - self._handshakes[host]
        if len(own) >= limit and not self._proxies.trusts(host) and not _displace_one(own):
            return f"{len(own)} connections of {host} are open already"
        limit = config.max_connections - self._handshakes.total()
        if len(everyone) >= limit and not _displace_one(everyone):
            return f"{len(everyone)} connections are open already"
        return ""

    async def _drain(self, grace: float) -> None:
        self.is_draining = True
        for each in self._connections:
            each.shutdown()
        with anyio.move_on_after(grace):
            # Whose client has left may still be at work in a database, which is not to be cut off.
            while self._connections or self._state.tasks:  # noqa: ASYNC110 uvicorn tells nobody
                await anyio.sleep(_LOOK_AGAIN)
        for each in self._connections:
            if each.transport is not None:
                each.transport.abort()
        for task in tuple(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks), timeout=grace)


def _begin_websocket(
    config: Config, server_state: ServerState, app_state: dict[str, Any]
) -> "GuardedWebSocket":
    # Where nobody asks for one, what it needs is not in memory.
    from pacs_web.websocket import GuardedWebSocket

    return GuardedWebSocket(config, server_state, app_state)


def _displace_one(connections: "Iterable[GuardedProtocol | GuardedWebSocket]") -> bool:
    """Let the oldest connection go on which nothing is being answered; False if there is none."""
    quiet = [each for each in connections if not each.is_answering]
    if quiet:
        min(quiet, key=lambda each: each.accepted_at).close()
    return bool(quiet)


def _refuse(connection: socket.socket, reason: str) -> None:
    """Answer a connection that is one too many, as far as it takes that at once.

    Where a handshake would have to come first, there is no reason: it is closed.
    """
    with connection, suppress(OSError):
        connection.setblocking(False)
        if reason:
            connection.send(refusal(503, reason))
        connection.shutdown(socket.SHUT_WR)
