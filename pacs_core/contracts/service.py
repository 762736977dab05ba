"""The contract of services: what runs beside the DICOM listener for as long as the node serves."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

from pacs_core.contracts.component import Component
from pacs_core.contracts.leases import Lease

Started = Callable[[], None]
"""What a service calls once it is ready."""


class Service(Component, ABC):
    """Runs as long as the node serves: a web server, an HL7 listener, a queue's worker.

    - Only ``pacs serve`` runs services; commands such as ``pacs index verify`` do not.
    - A service starts when archive, audit trail, event handlers and service providers have, and
      ends before any of them stops: whatever it records or ingests on its way out is kept.
    - A service that fails before it has started is quarantined with its plugin. One that fails
      later is logged, audited, and made anew after a pause, which grows with each failure.
    """

    sockets: tuple[socket.socket, ...] = ()
    """Listening, non-blocking sockets for the descriptor's `bind`; set before :meth:`start`.

    All workers of a node share them. The kernel closes them, after the service has ended. If the
    supervisor of the workers has died, accepting fails (EINVAL) while the node is about to end.
    """

    lease: Lease | None = None
    """Under which it runs, if its scope is the node and the index keeps leases.

    Set before :meth:`start`. A node that was suspended for longer than its lease does not know yet
    that another has taken over: what must not be written by both is written with
    :attr:`Lease.token`, and refused by whoever has seen a greater one.
    """

    @abstractmethod
    async def run(self, started: Started) -> None:
        """Serve until cancelled.

        Cancellation is how the node ends a service. It may finish what it is about under a
        shielded scope of its own, within the node's ``timeouts.shutdown``; then :meth:`stop` is
        called.

        Parameters
        ----------
        started : callable
            Call it once the service is ready: the node waits for that before it says that it is,
            and before it starts services that come `after` this one. A service that returns
            is done, and is not run again.
        """
