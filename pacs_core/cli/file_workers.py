"""One function for each of many files, in as many processes as there are processors."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import frozen

from pacs_core.cli.errors import CommandError
from pacs_core.cli.progress import progress

if TYPE_CHECKING:
    from concurrent.futures import Future

# Theory of operation
#
# Workers are forked off when there are more than a few files, and so have all that the command has
# imported and made by then: the function may be any, and need not be pickled. Files go to them in
# chunks, results come back in the order of the files, and no more chunks are on their way than
# keep all busy: who reads slowly (a pager) holds everything up, and nothing piles up in memory.
#
# What the function prints is kept in the worker, file by file, and printed by the command's own
# process together with the result. So lines of files never mix, and the output is that of a single
# process. An interrupt reaches the command alone: it hands out no more chunks, and ends.
#
# All commands for folders go through here, and so all have a progress bar on a terminal that they
# do not print to themselves. Who looks at one wants to know how much there is: only then are all
# files listed before the first of them is done.

F = TypeVar("F")
T = TypeVar("T")

_FEW: Final = 32
"""Files for which workers are not worth their start."""

_CHUNK: Final = 8
_AHEAD: Final = 3
"""Chunks for each worker that are on their way."""

_PR_SET_PDEATHSIG: Final = 1
"""Of prctl(2): the signal that a process gets when the one that began it has ended."""


@frozen
class _Done:
    """What became of a file: a result or an error, and what was printed."""

    result: Any
    error: BaseException | None
    out: bytes
    err: str


def map_files(
    function: Callable[[F], T],
    files: Iterable[F],
    jobs: int = 0,
    *,
    label: str = "",
    prints: bool = False,
) -> Iterator[T]:
    """Iterate over what a function returns for files, in their order.

    What it prints appears as if it were called for one file after the other.

    Parameters
    ----------
    function : callable
        What it changes beside files is seen by nobody: it may run in another process.
    files : iterable
        What is given to it; small, since it goes from one process to another, as results do.
    jobs : int
        Processes at most; 0 for one for each processor.
    label : str
        What the bar says, which shows the progress of many files on a terminal; none without it.
    prints : bool
        The function prints what the command is for: there is no bar where that can be seen.

    Raises
    ------
    CommandError
        A process ended before its time.
    Exception
        What the function raises ends everything, when what precedes it is done.
    """
    jobs = jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    pending = iter(files)
    first = list(islice(pending, _FEW))
    if len(first) < _FEW:
        yield from map(function, first)
        return
    pending = chain(first, pending)
    if not label or not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield from _map_many(function, pending, jobs)
        return
    every = list(pending)
    with progress(label, len(every)) as advance:
        for result in _map_many(function, every, jobs):
            advance(1)
            yield result


def _map_many(function: Callable[[F], T], files: Iterable[F], jobs: int) -> Iterator[T]:
    # Elsewhere processes that are forked off may not use what the system provides.
    if jobs == 1 or sys.platform != "linux":
        yield from map(function, files)
        return
    for done in _work(function, files, jobs):
        sys.stdout.flush()
        sys.stdout.buffer.write(done.out)
        sys.stderr.write(done.err)
        if done.error is not None:
            raise done.error
        yield done.result


def _work(function: Callable[[Any], Any], files: Iterable[Any], jobs: int) -> Iterator[_Done]:
    # They take time, and a command for one file does not need them.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pending, waiting = iter(files), deque["Future[list[_Done]]"]()
    sys.stdout.flush()
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("fork"), initializer=_begin, initargs=(function, os.getpid())
    ) as pool:
        try:
            while True:
                while len(waiting) < _AHEAD * jobs and (chunk := list(islice(pending, _CHUNK))):
                    with _without_interrupts():  # this may begin the processes
                        waiting.append(pool.submit(_do_chunk, chunk))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise CommandError(
                "a process ended before its time, perhaps for want of memory: --jobs 1 takes least"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold SIGINT back; so does a process that is begun meanwhile, until it ignores it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_function: Callable[[Any], Any]


def _begin(function: Callable[[Any], Any], parent: int) -> None:
    import ctypes

    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A command that is killed tells nobody, and its processes would wait for files for ever.
    zero = ctypes.c_ulong(0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), zero, zero, zero)
    if os.getppid() != parent:
        os._exit(1)


def _do_chunk(files: list[Any]) -> list[_Done]:
    """Call the function for files, up to one for which it raises."""
    made: list[_Done] = []
    for file in files:
        out = TextIOWrapper(BytesIO(), sys.stdout.encoding, sys.stdout.errors)
        err, result, failure = StringIO(), None, None
        with redirect_stdout(out), redirect_stderr(err):
            try:
                result = _function(file)
            except Exception as error:
                failure = error
        out.flush()
        made.append(_Done(result, failure, out.buffer.getvalue(), err.getvalue()))
        if failure is not None:
            break
    return made
