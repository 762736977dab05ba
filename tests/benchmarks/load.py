"""The load generator: a process for each association, all let go at the same moment."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Barrier
from time import monotonic

from attrs import frozen

from . import data, wire
from .client import Client, PeerError

_fork = multiprocessing.get_context("fork")

VERIFY = wire.Context(1, wire.VERIFICATION, data.EXPLICIT_LITTLE)
INSTANCES_PER_SERIES = 100
NUMBERS_PER_SENDER = 1_000_000
WARM_UP = 5
"""Operations of each association that are done before the clock starts."""

Operation = Callable[[], None]
Prepare = Callable[[int], AbstractContextManager[Operation]]


@frozen
class Load:
    """What was done, between the first start and the last end; `began` by the monotonic clock."""

    operations: int
    seconds: float
    began: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


def storage_context(sop_class_uid: str, context: int = 1) -> wire.Context:
    """Return the context that is proposed for storing."""
    return wire.Context(context, sop_class_uid, data.EXPLICIT_LITTLE)


@contextmanager
def storing(
    port: int,
    called: str,
    shape: data.Shape,
    sender: int,
    *,
    first: int = 0,
    per_series: int = INSTANCES_PER_SERIES,
    tls: bool = False,
) -> Iterator[Operation]:
    """Associate, and give a function that stores one more object, each with UIDs of its own."""
    dataset = data.whole(shape)
    command = wire.store_request(shape.sop_class_uid, data.instance_uid(0))
    with Client(port, [storage_context(shape.sop_class_uid)], called, tls=tls) as client:
        encoded = client.encode(1, command, dataset)
        uids = (data.instance_uid(0), data.series_uid(0), data.study_uid(0))
        message = wire.Patched(encoded, uids)
        number = first + sender * NUMBERS_PER_SENDER

        def store() -> None:
            nonlocal number
            series = number // per_series
            client.send(
                message.patch(
                    data.instance_uid(number),
                    data.series_uid(series),
                    data.study_uid(series // 10),
                )
            )
            client.confirm()
            number += 1

        yield store


@contextmanager
def echoing(port: int, called: str, _sender: int) -> Iterator[Operation]:
    """Associate, and give a function that does a C-ECHO."""
    with Client(port, [VERIFY], called) as client:
        message = client.encode(1, wire.request(wire.C_ECHO_RQ, wire.VERIFICATION))

        def echo() -> None:
            client.send(message)
            client.confirm()

        yield echo


@contextmanager
def associating(port: int, called: str, _sender: int) -> Iterator[Operation]:
    """Give a function that sets an association up and releases it."""

    def associate() -> None:
        with Client(port, [VERIFY], called):
            pass

    yield associate


def drive(
    prepare: Prepare,
    associations: int,
    *,
    seconds: float = 0,
    count: int = 0,
    sample: Callable[[], None] = lambda: None,
) -> Load:
    """Repeat an operation on several associations at once.

    Parameters
    ----------
    prepare : callable
        Given the number of an association, returns a context manager that gives the operation.
    associations : int
    seconds : float
        Until when operations are begun.
    count : int
        How many each association does, instead of `seconds`.
    sample : callable
        Called about 20 times a second meanwhile.

    Raises
    ------
    PeerError
        The peer failed, on any association.
    """
    barrier = _fork.Barrier(associations)
    pipes, workers = [], []
    for number in range(associations):
        mine, theirs = _fork.Pipe(duplex=False)
        worker = _fork.Process(
            target=_work, args=(prepare, number, barrier, theirs, seconds, count), daemon=True
        )
        worker.start()
        theirs.close()
        pipes.append(mine)
        workers.append(worker)
    try:
        return _gather(pipes, sample)
    finally:
        for worker in workers:
            worker.join(1)
            worker.kill()
            worker.join()


def _work(
    prepare: Prepare,
    number: int,
    barrier: Barrier,
    pipe: Connection,
    seconds: float,
    count: int,
) -> None:
    try:
        with prepare(number) as operation:
            for _ in range(0 if count else WARM_UP):
                operation()
            barrier.wait(60)
            start = monotonic()
            done, end = _repeat(operation, start + seconds, count)
            pipe.send((done, start, end))
    except Exception as error:
        barrier.abort()
        pipe.send(f"{type(error).__name__}: {error}")


def _repeat(operation: Operation, until: float, count: int) -> tuple[int, float]:
    done, now = 0, 0.0
    while done < count if count else now < until:
        operation()
        done += 1
        now = monotonic()
    return done, now


def _gather(pipes: list[Connection], sample: Callable[[], None]) -> Load:
    results: list[tuple[int, float, float]] = []
    failures: list[str] = []
    waiting = list(pipes)
    while waiting:
        for pipe in wait(waiting, 0.05):
            assert isinstance(pipe, Connection)
            waiting.remove(pipe)
            try:
                result = pipe.recv()
            except EOFError:
                result = "a load process died"
            if isinstance(result, str):
                failures.append(result)
            else:
                results.append(result)
        sample()
    if failures:
        raise PeerError(min(failures, key=lambda text: "BrokenBarrier" in text))
    starts, ends = [start for _, start, _ in results], [end for _, _, end in results]
    began = min(starts)
    return Load(sum(done for done, _, _ in results), max(ends) - began, began)
