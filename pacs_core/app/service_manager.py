"""Notices to the service manager that started the node: sd_notify(3), of systemd and others.

A manager that wants to know sets ``NOTIFY_SOCKET``. It hears when the node listens, reads its
configuration again, and drains; and if it set ``WATCHDOG_USEC``, a beat in half of that time. It
kills and restarts a node whose beats fail to come. So a beat must mean that the node answers: it
comes from the event loop, and where there are workers from their supervisor, as long as the loops
of all of them beat as well, in memory that they share.
"""

import logging
import mmap
import os
import socket
import time
from typing import Final

import anyio

logger = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
BEAT: Final = "WATCHDOG=1"
_MICROSECONDS: Final = 1_000_000
_PATIENCE: Final = 1.0  # seconds for a manager whose queue is full
_WIDTH: Final = 8


def tell(*assignments: str) -> None:
    """Tell the service manager, if one listens.

    Parameters
    ----------
    *assignments
        As in sd_notify(3): ``READY=1``, ``STATUS=draining``.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    if path[0] == "@":  # a name of Linux, outside of the file system
        path = f"\0{path[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(_PATIENCE)
            manager.sendto("\n".join(assignments).encode(), path)
    except OSError as error:
        logger.warning("the service manager is not told %s: %s", assignments[0], error)


def tell_reloading() -> None:
    """Tell that the configuration is read again; `READY` says that it has been."""
    tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_limit() -> float:
    """Return the seconds in which the service manager awaits a beat of this process; 0 for none."""
    process = str(os.getpid())
    awaited = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", process) != process or not awaited.isdecimal():
        return 0.0
    return int(awaited) / _MICROSECONDS


async def beat() -> None:
    """Send beats from the event loop until cancelled, if any are awaited."""
    if limit := watchdog_limit():
        while True:
            tell(BEAT)
            await anyio.sleep(limit / 2)


class WorkerBeats:
    """When the event loop of each worker was last seen to run, in memory that a fork shares.

    Parameters
    ----------
    workers : int
    limit : float
        Seconds in which each must be seen; 0 if nobody looks.
    """

    def __init__(self, workers: int = 1, limit: float = 0.0) -> None:
        self._moments = memoryview(mmap.mmap(-1, workers * _WIDTH)).cast("d")
        self.limit = limit
        self._sent = 0.0

    def clear(self, worker: int) -> None:
        """Expect nothing of a worker until it is seen: it starts, which may take long."""
        self._moments[worker] = 0.0

    async def keep(self, worker: int) -> None:
        """Show that the event loop of a worker runs, until cancelled."""
        while self.limit:
            self._moments[worker] = time.monotonic()
            await anyio.sleep(self.limit / 4)

    def pass_on(self) -> float:
        """Send a beat if one is due and all workers beat.

        Returns
        -------
        float
            Seconds until the next look.
        """
        if not self.limit:
            return float("inf")
        now = time.monotonic()
        if now - self._sent >= self.limit / 2:
            late = [n for n, seen in enumerate(self._moments) if 0 < seen < now - self.limit]
            if late:
                logger.error(
                    "worker %d does not answer: the service manager hears nothing", late[0]
                )
            else:
                tell(BEAT)
            self._sent = now
        return self._sent + self.limit / 2 - now
