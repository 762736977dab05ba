"""A node until a signal says otherwise."""

import linecache
import logging
import signal
from collections.abc import AsyncIterator, Callable

import anyio

from pacs_core.app.assembly import Assembly
from pacs_core.app.control import open_control
from pacs_core.app.node import RunningNode, WorkerSlot, run_node
from pacs_core.app.service_manager import READY, STOPPING, beat, tell, tell_reloading
from pacs_core.app.worker_control import obey
from pacs_core.concurrency import task_group
from pacs_core.logs.node_log import NodeLog

# Theory of operation
#
# Signals are read as a stream, one after the other, and not handled wherever the program is. The
# first that ends the node leaves the block of `run_node`, which drains; a task waits meanwhile for
# a second. The order of the two blocks matters: tasks are within the signals, so that none is lost
# between the first signal and that task, and outside of the node, so that the task lives while it
# drains.

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
RELOAD = signal.SIGHUP
_HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def ignore_harmless_signals() -> None:
    """Ignore the signals by which other programs are told to read their files again.

    Their default is to kill. The audit file is followed wherever it is renamed, and SIGHUP has a
    meaning only once the node runs. Processes that are started from here inherit this.
    """
    for number in _HARMLESS:
        signal.signal(number, signal.SIG_IGN)


async def serve(
    assembly: Assembly,
    ready: Callable[[RunningNode], None],
    place: WorkerSlot | None = None,
    log: NodeLog | None = None,
) -> None:
    """Run a node until SIGINT or SIGTERM; SIGHUP lets it read its configuration again.

    The first signal drains: after the notice that is configured nothing new is accepted, running
    associations get a grace period and then an A-ABORT. A second signal aborts at once.

    A worker takes no notice of SIGHUP: its supervisor tells it what to do, and tells the
    service manager what it does.

    Parameters
    ----------
    assembly : Assembly
    ready : callable
        Called once the node listens.
    place : WorkerSlot, optional
        Where to listen if the node is one of many workers.
    log : NodeLog, optional
        Of the process, if the configuration is to say how it logs.
    """
    heard = SIGNALS if place else (*SIGNALS, RELOAD)
    with anyio.open_signal_receiver(*heard) as signals:
        async with task_group() as tasks:
            async with (
                run_node(assembly, place, log) as node,
                open_control(assembly, node, supervised=place is not None),
            ):
                ready(node)
                # attrs keeps there, for debuggers, the source of what it has generated: 3 MB.
                linecache.clearcache()
                if place is None:
                    tell(READY)
                    tasks.start_soon(beat)
                else:
                    tasks.start_soon(place.beats.keep, place.occupancy.worker)
                    if place.control is not None:
                        tasks.start_soon(obey, place.control, node.reloader)
                while await anext(signals) == RELOAD:
                    tell_reloading()
                    await node.reloader.reload()
                    tell(READY)
                node.opened.node.is_ending = True
                if place is None:
                    tell(STOPPING)
                notice = node.opened.node.settings.timeouts.notice
                logger.info("draining%s; a second signal aborts what still runs",
                            f" in {notice:g} s" if notice else "")  # fmt: skip
                aborted = anyio.Event()
                tasks.start_soon(_abort_on_second, signals, node, aborted)
                with anyio.move_on_after(notice):
                    await aborted.wait()
            tasks.cancel_scope.cancel()


async def _abort_on_second(
    signals: AsyncIterator[signal.Signals], node: RunningNode, aborted: anyio.Event
) -> None:
    while await anext(signals) == RELOAD:
        logger.info("the configuration is not read again: the node is about to end")
    logger.warning("aborting")
    aborted.set()
    await node.listener.abort()
