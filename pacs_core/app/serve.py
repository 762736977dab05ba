"""A node until a signal says otherwise."""

import logging
import signal
from collections.abc import AsyncIterator, Callable

import anyio

from pacs_core.app.assembly import Assembly
from pacs_core.app.node import RunningNode, WorkerSlot, run_node
from pacs_core.association import task_group

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def ignore_harmless_signals() -> None:
    """Ignore the signals by which other programs are told to read their files again.

    Their default is to kill. The configuration is read at start only, and the audit file is
    followed wherever it is renamed, so that there is nothing to do. Processes that are started
    from here inherit this.
    """
    for number in _HARMLESS:
        signal.signal(number, signal.SIG_IGN)


async def serve(
    assembly: Assembly, ready: Callable[[RunningNode], None], place: WorkerSlot | None = None
) -> None:
    """Run a node until SIGINT or SIGTERM.

    The first signal drains: nothing new is accepted, running associations get a grace period and
    then an A-ABORT. A second signal aborts at once.

    Parameters
    ----------
    assembly : Assembly
    ready : callable
        Called once the node listens.
    place : WorkerSlot, optional
        Where to listen if the node is one of many workers.
    """
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async with task_group() as tasks:
            async with run_node(assembly, place) as node:
                ready(node)
                await anext(signals)
                logger.info("draining; a second signal aborts what still runs")
                tasks.start_soon(_abort_on_second, signals, node)
            tasks.cancel_scope.cancel()


async def _abort_on_second(signals: AsyncIterator[signal.Signals], node: RunningNode) -> None:
    await anext(signals)
    logger.warning("aborting")
    await node.listener.abort()
