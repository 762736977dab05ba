"""Many processes on one port, so that a node uses every core.

A supervisor binds the port, forks the workers, and does nothing else than watch over them. All
accept from the same sockets: a connection goes to a worker that is waiting, and one that arrives
while a worker dies is served by another. (With a socket for each worker, SO_REUSEPORT, the kernel
would spread connections by hash, and reset those queued at a worker that died.)

As process 1 of a container it inherits every orphan, such as the codec processes of a worker that
died: it reaps whatever ends, and cares about its workers only. It waits for signals and for news
of workers that start at the same time, so that none makes it deaf to the other.
"""

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from socket import SHUT_RDWR, socket, socketpair
from typing import NoReturn

from attrs import define, evolve, field

from pacs_core.app.assembly import Assembly
from pacs_core.app.node import WorkerSlot
from pacs_core.app.serve import RELOAD, SIGNALS
from pacs_core.app.service_manager import (
    READY,
    STOPPING,
    WorkerBeats,
    tell,
    tell_reloading,
    watchdog_limit,
)
from pacs_core.app.services import Sockets
from pacs_core.app.worker_control import WorkerLine, reload_workers
from pacs_core.association import WorkerLoad
from pacs_core.logs.node_log import NodeLog
from pacs_core.metering import MeterMemory, clear_gauges

# Theory of operation
#
# The supervisor is a process without an event loop, threads or plugins at work: it forks, and a
# fork copies only the thread that calls it, with whatever locks others hold at that moment. It must
# also live as long as the node, so it does as little as possible.
#
# It sleeps in `sigtimedwait`. Its signals are blocked and taken one at a time from there, which
# leaves no moment in which one could be missed, and no handler that could interrupt anything.
# SIGCHLD wakes it when a child ends.
#
# Three pipes and a socket tie the processes together. Each says something by being closed, because
# that is what the kernel does for a process that can no longer say anything:
#
#   told, heard      a worker writes one byte when it listens, and closes it when it dies before
#   alive, lifeline  the supervisor holds the end that is written to; its death closes it, and a
#                    thread in each worker that reads the other end gives up the ports, for the
#                    node that takes the place of this one, and makes the worker drain
#   line, control    for reloading: see `worker_control`
#
# Workers that die are started again at once, those that die young with a delay that doubles: a
# configuration that kills workers must not take the machine with it.

logger = logging.getLogger(__name__)

Work = Callable[[Assembly, WorkerSlot, Callable[[], None]], None]
"""Runs a worker at a place, and calls the function once it is ready."""

FAILED_TO_START = 70
_WATCHED = {*SIGNALS, RELOAD, signal.SIGCHLD}
_QUICK_DEATH = 5.0  # seconds; a worker that lives shorter is restarted with a delay
_LONGEST_DELAY = 30.0
_POLL = 0.05  # seconds between looks at workers that start
_MOMENT = 0.1  # seconds in which an event loop that is not blocked has heard of a signal


@define
class _Worker:
    slot: int
    pid: int
    line: WorkerLine
    started: float = field(factory=time.monotonic)
    delay: float = 0.0


class Supervisor:
    """Keeps a number of workers running.

    Parameters
    ----------
    assembly : Assembly
        What workers run.
    sockets : sequence of socket
        Listening, to be shared.
    count : int
        Number of workers.
    work : callable
        What a worker does.
    service_sockets : mapping of str to tuple of socket
        What services listen on, by name; shared as well.
    tls_sockets : sequence of socket
        Listening for secured associations.
    log : NodeLog, optional
        Of this process, and so of workers when they begin.
    """

    def __init__(
        self,
        assembly: Assembly,
        sockets: Sequence[socket],
        count: int,
        work: Work,
        service_sockets: Sockets | None = None,
        tls_sockets: Sequence[socket] = (),
        log: NodeLog | None = None,
    ) -> None:
        self._assembly = assembly
        self._log = log
        self._place = WorkerSlot(
            tuple(sockets),
            WorkerLoad(count),
            service_sockets=service_sockets or {},
            meter=MeterMemory(count),
            tls_sockets=tuple(tls_sockets),
            beats=WorkerBeats(count, watchdog_limit()),
        )
        self._count = count
        self._work = work
        self._workers: dict[int, _Worker] = {}
        self._due: list[tuple[float, _Worker, str]] = []
        self._signals = 0
        # Nobody writes to it: that its other end closes tells workers that the supervisor died.
        self._alive, self._lifeline = os.pipe()

    def run(self, ready: Callable[[], None]) -> int:
        """Run until SIGINT or SIGTERM, and return the exit code.

        Parameters
        ----------
        ready : callable
            Called once all workers listen.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        for slot in range(self._count):
            if not self._await_ready(self._start(slot)):
                return self._give_up()
        ready()
        tell(READY)
        while self._workers or (self._due and not self._signals):
            self._watch()
        return 0

    def _await_ready(self, heard: int) -> bool:
        """Wait until a worker listens; not if it dies, or a signal says to stop."""
        try:
            while not self._signals:
                if select.select([heard], [], [], _POLL)[0]:
                    return os.read(heard, 1) == b"+"
                self._heed(0.0)
                self._reap()
            return False
        finally:
            os.close(heard)

    def _give_up(self) -> int:
        code = 0 if self._signals else 1
        self._signals += 1  # nothing is restarted any more
        self._forward(signal.SIGTERM)
        while self._workers:
            self._watch()
        return code

    # --- watching

    def _watch(self) -> None:
        self._heed(min(self._patience(), self._place.beats.pass_on()))
        self._reap()
        self._restart_due()

    def _heed(self, patience: float) -> None:
        """Wait for a signal, and pass it on to the workers if it is for them."""
        # The one place where the supervisor waits.
        received = signal.sigtimedwait(_WATCHED, patience)
        if received is None or received.si_signo == signal.SIGCHLD:
            return
        if received.si_signo == RELOAD:
            self._reload()
        else:
            self._signals += 1
            tell(STOPPING)
            logger.info("%s: the workers are told", signal.Signals(received.si_signo).name)
            self._forward(received.si_signo)

    def _reload(self) -> None:
        """Let all workers, and those that take their place one day, take other settings."""
        if not self._signals:
            # One after the other; if one cannot, those before it take it back.
            lines = [worker.line for worker in self._workers.values()]
            tell_reloading()
            self._assembly = reload_workers(self._assembly, lines)
            if self._log is not None:
                self._log.use(self._assembly.config.log)
            tell(READY)

    def _patience(self) -> float:
        due = min((at for at, _, _ in self._due), default=time.monotonic() + 60.0)
        return max(due - time.monotonic(), 0.0)

    def _forward(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                # Several may have ended for one SIGCHLD: signals are not counted.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if worker := self._workers.pop(pid, None):
                worker.line.close()
                self._bury(worker, status)
            else:
                logger.debug("process %d, an orphan, %s", pid, _describe(status))

    def _bury(self, worker: _Worker, status: int) -> None:
        # What it shared in memory would count its associations for ever.
        self._place.occupancy.clear(worker.slot)
        self._place.beats.clear(worker.slot)
        clear_gauges(self._place.meter, worker.slot)
        if self._signals:
            return
        reason = f"worker {worker.slot} (process {worker.pid}) {_describe(status)}"
        quick = time.monotonic() - worker.started < _QUICK_DEATH
        worker.delay = min(max(2 * worker.delay, 0.5), _LONGEST_DELAY) if quick else 0.0
        logger.error("%s; it is restarted in %g s", reason, worker.delay)
        self._due.append((time.monotonic() + worker.delay, worker, reason))

    def _restart_due(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._due if entry[0] <= now]
        self._due = [entry for entry in self._due if entry[0] > now]
        for _, worker, reason in due:
            if not self._signals:
                # Nobody waits for it: it is watched like any other, and restarted if it fails.
                os.close(self._start(worker.slot, reason, worker.delay))

    # --- starting

    def _start(self, slot: int, reason: str = "", delay: float = 0.0) -> int:
        """Fork a worker; return a pipe on which it says that it listens."""
        heard, told = os.pipe()
        ours, theirs = socketpair()
        pid = os.fork()
        if pid == 0:
            os.close(heard)
            ours.close()
            self._become_worker(slot, reason, told, theirs)
        os.close(told)
        theirs.close()
        self._workers[pid] = _Worker(slot, pid, WorkerLine(ours), delay=delay)
        return heard

    def _become_worker(self, slot: int, reason: str, told: int, control: socket) -> NoReturn:
        code = FAILED_TO_START
        try:
            # A group of its own: Ctrl-C reaches the supervisor alone, which passes it on once.
            os.setpgid(0, 0)
            os.close(self._lifeline)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            self._place.occupancy.worker = slot
            threading.Thread(target=self._follow_supervisor, daemon=True).start()
            # Inherited, and not ours: a line that is open here would outlive its worker.
            for other in self._workers.values():
                other.line.close()
            place = evolve(self._place, restarted=reason, control=control)
            self._work(self._assembly, place, lambda: _tell(told))
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            logger.exception("worker %d failed", slot)
        finally:
            logging.shutdown()
            # Not sys.exit: what the supervisor has on its stack is not ours to unwind.
            os._exit(code)

    def _follow_supervisor(self) -> None:
        os.read(self._alive, 1)
        logger.error("the supervisor has died: the worker gives up its ports, and drains")
        os.kill(os.getpid(), signal.SIGTERM)
        # Whoever knows that the node ends makes no fuss about ports that are gone.
        time.sleep(_MOMENT)
        # What is under way may take its time, and whoever starts the node again has none: its ports
        # must be free, though the loop is blocked, and services close theirs last. Not by closing:
        # the number might be another file's while the loop still waits for it.
        place = self._place
        services = chain.from_iterable(place.service_sockets.values())
        for listening in (*place.sockets, *place.tls_sockets, *services):
            with suppress(OSError):  # it is closed, or another worker was first
                listening.shutdown(SHUT_RDWR)


def _tell(told: int) -> None:
    with suppress(BrokenPipeError):  # nobody waits for a worker that was restarted
        os.write(told, b"+")
    os.close(told)


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with code {os.waitstatus_to_exitcode(status)}"
