"""Services of which one runs, not one in each process: kept to one by a file lock and a lease.

Among the processes of a node it is a lock on a file in the data directory, which the operating
system releases with the process that held it, however that ends; the others look again every
moment. Nodes that have one index but not one data directory are kept apart by a lease in that
index: only the process with the lock asks for it, in the name of its node. So when a worker dies,
the next one of its node goes on at once, under a new token; and when a whole node dies, another
goes on once the time of the lease has run out.

The holder renews its lease every third of its time. If that fails until two thirds have passed, the
service is ended, and has the last third to end in, before another may begin. A node that was
suspended finds out when it wakes; until then the token tells it from its successor.
"""

import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import anyio
from attrs import frozen

from pacs_core.concurrency import cancelled_task_group, common_moment
from pacs_core.concurrency.files import try_lock
from pacs_core.contracts import Lease, Leases

logger = logging.getLogger(__name__)

LOOK_AGAIN: Final = 0.5
"""Seconds between attempts to become the process that runs a service."""
_RELEASE_TIMEOUT: Final = 5.0


@asynccontextmanager
async def only_process(folder: Path, name: str, wait: Callable[[], None]) -> AsyncIterator[None]:
    """Be the only process of a node in an ``async with`` block of this name.

    Parameters
    ----------
    folder : Path
        Of the node; made if it is missing.
    name : str
    wait : callable
        Called if another process is in its block, before it is waited for.
    """
    fd = _open_lock(folder, name)
    try:
        # Polled, not waited for: a thread blocked in flock could not be cancelled.
        if not try_lock(fd):
            wait()
            while not try_lock(fd):  # noqa: ASYNC110 another process releases it
                await anyio.sleep(LOOK_AGAIN)
        yield
    finally:
        os.close(fd)


def holder_of(folder: Path) -> str:
    """Return the name under which a node holds leases: the same for all of its processes.

    A copy of its data directory on another machine has another name.
    """
    path = folder / "node-id"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"node-id-{uuid4().hex}"
    try:
        draft.write_text(uuid4().hex, encoding="ascii")
        # Linking is atomic, unlike writing: of two processes that begin at once one makes the name.
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    # A data directory may be copied, or shared by mistake: the host tells the nodes apart.
    return f"{path.read_text(encoding='ascii')}@{socket.gethostname()}"


def _open_lock(folder: Path, name: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(name, safe='')}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)


@frozen
class OnlyNode:
    """Lets one of the nodes with an index do something at a time.

    Attributes
    ----------
    leases : Leases
    holder : str
        This node.
    seconds : float
        For which a lease is held without being renewed.
    """

    leases: Leases
    holder: str
    seconds: float

    async def run(
        self, name: str, work: Callable[[Lease], Awaitable[None]], wait: Callable[[], None]
    ) -> None:
        """Do something under a lease, once it is to be had; again if it was lost on the way.

        Parameters
        ----------
        name : str
        work : callable
            Cancelled when the lease is lost.
        wait : callable
            Called if another node holds the lease, before it is waited for.
        """
        done = False
        while not done:
            began, lease = await self._acquire(name, wait)
            logger.debug("this node holds the lease on %s (token %d)", name, lease.token)
            try:
                async with cancelled_task_group() as tasks:
                    with anyio.CancelScope() as scope:
                        # The time counts from before the lease was asked for: the answer may have
                        # been slow.
                        tasks.start_soon(self._keep, lease, began, scope)
                        await work(lease)
                        done = True
            finally:
                await self._release(lease)

    async def _acquire(self, name: str, wait: Callable[[], None]) -> tuple[float, Lease]:
        troubled = False
        while True:
            began = time.monotonic()
            try:
                # A look writes nothing, and those who wait take it very often.
                held = await self.leases.held()
                if not any(each.name == name and each.holder != self.holder for each in held):
                    lease = await self.leases.acquire(name, self.holder, self.seconds)
                    if lease is not None:
                        return began, lease
            except Exception as error:
                # Once for each time of trouble, and not twice a second while the index is away.
                if not troubled:
                    logger.warning("the lease on %s cannot be asked for: %s", name, error)
                troubled = True
            wait()
            await anyio.sleep(LOOK_AGAIN)

    async def _keep(self, lease: Lease, renewed: float, scope: anyio.CancelScope) -> None:
        """Renew a lease until it is lost; then cancel what is done under it."""
        third = self.seconds / 3
        while True:
            left = max(0.0, renewed + 2 * third - time.monotonic())
            await anyio.sleep_until(min(common_moment(third), anyio.current_time() + left))
            began = time.monotonic()
            # None if nobody can say: then the time decides, as if the index were out of reach.
            held: bool | None = None
            try:
                with anyio.move_on_after(third):
                    held = await self.leases.renew(lease, self.seconds)
            except Exception as error:
                logger.warning("the lease on %s cannot be renewed: %s", lease.name, error)
            if held:
                renewed = began
            elif held is False or time.monotonic() - renewed >= 2 * third:
                logger.error("the lease on %s is lost: this node leaves it to others", lease.name)
                # The last third is for what runs to end in, before another node may begin.
                scope.cancel()
                return

    async def _release(self, lease: Lease) -> None:
        with anyio.move_on_after(_RELEASE_TIMEOUT, shield=True):
            try:
                await self.leases.release(lease)
            except Exception as error:
                logger.warning("the lease on %s is not released: %s", lease.name, error)
