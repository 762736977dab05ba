"""Accepts transport connections and gives each an acceptor of its own.

Error policy: whatever one connection does ends that connection only. What goes wrong while
accepting (no file descriptors left, say) is logged, and accepting goes on after a moment.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from pacs_core.association.acceptance import Acceptance
from pacs_core.association.acceptor import Acceptor
from pacs_core.association.budget import ByteBudget
from pacs_core.association.hosts import PERIOD, Hosts
from pacs_core.association.incoming import ALLOTMENT
from pacs_core.association.services import Preferences, Services
from pacs_core.association.settings import NetworkSettings
from pacs_core.association.transport import Transport
from pacs_core.association.worker_load import WorkerLoad
from pacs_core.contracts import (
    AuditFailedError,
    AuditTrail,
    Origin,
    TlsConfigError,
    correlated,
    new_correlation,
)

if TYPE_CHECKING:
    from ssl import SSLContext

# Theory of operation
#
# Several workers accept from the same sockets, and the system wakes all of them. A worker with more
# connections than another (`WorkerLoad.is_ahead`) waits a moment before it takes the next: so
# connections spread evenly without a dispatcher, and if no other is there to take it, it costs five
# milliseconds.
#
# What cannot be served is refused as late as its peer can be told why. Connections beyond all
# limits are closed unread, but an association that finds no room is rejected with a reason by its
# acceptor, and half-open connections are displaced by newer ones (`Hosts`). A surplus over the
# limits is accepted, since connections that are about to end still count.
#
# Accepting survives all errors. Where descriptors are used up, it pauses, instead of failing as
# fast as the processor allows, and logs once in a period.
#
# Draining cancels the accepting scope alone, at which the sockets are closed; connections run in
# the task group around it. So the node still serves what it has, for `grace` seconds, and then
# aborts it: a peer learns of the end by an A-ABORT, not by silence.

logger = logging.getLogger(__name__)

_PAUSE = 0.1  # seconds without accepting after an error such as EMFILE
_COURTESY = 0.005  # seconds for a worker with fewer connections to take the next
_SURPLUS = 512  # connections beyond all limits, which are about to end

_BACKLOG = 1024


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for every address of a host.

    Parameters
    ----------
    host : str
        Name or address of an interface.
    port : int
        0 chooses a free one, the same for all addresses.

    Raises
    ------
    OSError
        The address is in use, not ours, or not permitted.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], str(each[4][0])) for each in found):
            sockets.append(_bind(family, address, port))
            port = sockets[0].getsockname()[1]
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _bind(family: int, address: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


class Listener:
    """The listening side of a node.

    Parameters
    ----------
    ae_title : str
    settings : NetworkSettings
    services : Services
    audit : AuditTrail
    occupancy : WorkerLoad, optional
        Counts the associations of the other workers of the node.
    """

    def __init__(
        self,
        ae_title: str,
        settings: NetworkSettings,
        services: Services,
        audit: AuditTrail,
        occupancy: WorkerLoad | None = None,
    ) -> None:
        self._occupancy = occupancy or WorkerLoad()
        budget = ByteBudget(max(settings.memory_budget // self._occupancy.workers, ALLOTMENT))
        self._hosts = Hosts(settings, self._occupancy.workers)
        self._shared = Acceptance(
            ae_title,
            settings,
            services,
            audit,
            budget,
            self._has_room,
            self._hosts,
            self._established_from,
        )
        self._acceptors: dict[Acceptor, None] = {}
        """The oldest first."""
        self._sockets: tuple[socket.socket, ...] = ()
        self._tls_sockets: tuple[socket.socket, ...] = ()
        self._tls_context: Callable[[], SSLContext] | None = None
        self._accepting = anyio.CancelScope()
        self._empty: anyio.Event | None = None
        self._numbers = count(1)
        self._quiet_until = 0.0
        self.port = self.tls_port = 0

    async def bind(self, host: str, port: int) -> None:
        """Listen on a port; 0 chooses a free one, which is in :attr:`port` afterwards.

        Raises
        ------
        OSError
            The address is in use, not ours, or not permitted.
        """
        await self.listen(bind_sockets(host, port))

    async def listen(self, sockets: Iterable[socket.socket]) -> None:
        """Listen on sockets of :func:`bind_sockets`, which other workers may share."""
        self._sockets = tuple(sockets)
        self.port = self._sockets[0].getsockname()[1] if self._sockets else 0

    async def listen_securely(
        self, sockets: Iterable[socket.socket], context: "Callable[[], SSLContext]"
    ) -> None:
        """Listen for associations that are secured by TLS.

        Parameters
        ----------
        sockets : iterable of socket
            As for :meth:`listen`.
        context : callable
            Returns the context for a connection, or raises :class:`TlsConfigError`.
        """
        self._tls_sockets = tuple(sockets)
        self._tls_context = context
        self.tls_port = self._tls_sockets[0].getsockname()[1] if self._tls_sockets else 0

    def reconfigure(self, settings: NetworkSettings, preferences: Preferences) -> None:
        """Serve connections that come from now on under other settings.

        Connections that are there keep theirs. The memory budget stays as it is.
        """
        services = evolve(self._shared.services, preferences=preferences)
        self._shared = evolve(self._shared, settings=settings, services=services)
        self._hosts.reconfigure(settings)

    async def serve(self) -> None:
        """Accept and serve until :meth:`drain` or cancellation."""
        try:
            async with anyio.create_task_group() as connections:
                with self._accepting:
                    async with anyio.create_task_group() as accepting:
                        accepting.start_soon(self._sum_up_refusals)
                        for each in (*self._sockets, *self._tls_sockets):
                            accepting.start_soon(self._accept, each, connections)
                self._close()
        finally:
            self._close()

    def _close(self) -> None:
        for each in (*self._sockets, *self._tls_sockets):
            each.close()

    async def _sum_up_refusals(self) -> None:
        while True:
            await anyio.sleep(PERIOD / 4)
            with suppress(AuditFailedError):
                await self._shared.record_suppressed()

    async def _accept(self, listening: socket.socket, connections: TaskGroup) -> None:
        create = self._tls_transport if listening in self._tls_sockets else Transport
        while True:
            if self._occupancy.is_ahead:
                await anyio.wait_readable(listening)
                await anyio.sleep(_COURTESY)
            try:
                connection, _ = listening.accept()
            except BlockingIOError:  # or another worker has it
                await anyio.wait_readable(listening)
            except OSError as error:
                if error.errno == errno.EINVAL:  # it listens no more: the supervisor has died
                    return
                now = anyio.current_time()
                if now >= self._quiet_until:
                    self._quiet_until = now + PERIOD
                    logger.error("cannot accept connections for now: %s", error)  # noqa: TRY400
                await anyio.sleep(_PAUSE)
            else:
                self._occupancy.connect(1)
                connections.start_soon(self._serve, connection, create)

    def _tls_transport(self) -> Transport:
        from pacs_core.association.tls_transport import TlsTransport

        if self._tls_context is None:
            raise TlsConfigError("there is no TLS context")
        return TlsTransport(self._tls_context(), server_side=True)

    async def _serve(self, connection: socket.socket, create: Callable[[], Transport]) -> None:
        try:
            with correlated(new_correlation()):
                await self._answer(connection, create)
        finally:
            self._occupancy.connect(-1)

    async def _answer(self, connection: socket.socket, create: Callable[[], Transport]) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        settings = self._shared.settings
        if len(self._acceptors) > settings.max_associations + settings.max_half_open + _SURPLUS:
            await self._turn_away(
                connection, f"{len(self._acceptors)} connections are open already"
            )
            return
        try:
            made = create()
        except TlsConfigError as error:
            await self._turn_away(connection, f"TLS: {error}")
            return
        _, transport = await loop.connect_accepted_socket(lambda: made, connection)
        acceptor = Acceptor(
            transport, f"{self._occupancy.prefix}{next(self._numbers)}", self._shared
        )
        self._acceptors[acceptor] = None
        self._hosts.make_room(each for each in self._acceptors if not each.is_displaced)
        try:
            await acceptor.run()
        except Exception:
            logger.exception("%s: the association failed unexpectedly", acceptor.name)
        finally:
            self._acceptors.pop(acceptor, None)
            self._occupancy.publish(self._established)
            if self._empty is not None and not self._acceptors:
                self._empty.set()

    async def _turn_away(self, connection: socket.socket, reason: str) -> None:
        try:
            host, port, *_ = connection.getpeername()
        except OSError:  # it has gone
            host, port = "", 0
        connection.close()
        with suppress(AuditFailedError):
            await self._shared.record_refusal(Origin("DIMSE", host=host, port=port), reason)

    def _has_room(self) -> bool:
        established = self._established
        room = self._shared.settings.max_associations - self._occupancy.elsewhere - established
        self._occupancy.publish(established + (room > 0))
        return room > 0

    def _established_from(self, host: str) -> int:
        return sum(each.is_established and each.host == host for each in self._acceptors)

    @property
    def _established(self) -> int:
        return sum(acceptor.is_established for acceptor in self._acceptors)

    @property
    def free_memory(self) -> int:
        """Bytes of the memory budget that no dataset under way holds."""
        return self._shared.budget.free

    @property
    def memory(self) -> int:
        """Bytes of the memory budget of this process."""
        return self._shared.budget.limit

    @property
    def associations(self) -> int:
        """Connections that are being served."""
        return len(self._acceptors)

    async def drain(self, grace: float) -> None:
        """Accept nothing more, wait for what runs, and abort what is left after `grace` seconds."""
        self._accepting.cancel()
        with anyio.move_on_after(grace):
            while self._acceptors:
                self._empty = anyio.Event()
                await self._empty.wait()
        await self.abort()
        with suppress(AuditFailedError):
            await self._shared.record_suppressed(everything=True)

    async def abort(self) -> None:
        """Accept nothing more, and abort every association at once."""
        self._accepting.cancel()
        async with anyio.create_task_group() as aborting:
            for acceptor in tuple(self._acceptors):
                aborting.start_soon(acceptor.abort, "the node is shutting down")
