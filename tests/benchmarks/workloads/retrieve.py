"""C-GET and C-MOVE of a series of 1,000 images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import data, wire
from ..client import Client, PeerError
from ..contestant import Contestant, Running, running
from ..contestants import MOVE_AE
from ..load import Operation, drive, storing
from ..runner import Case, Measure, Metric, Options
from ..sink import sink

_RATE = Metric("rate", "objects/s")
_SHAPE = data.SHAPES["ct"]
_COMPLETED = 0x1021  # Number of Completed Sub-operations (PS3.7 E.1)

Retrieving = Callable[[Running, int], Operation]


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each service."""
    images = options.count(1000)
    for service, needs, retrieving in (("C-GET", "get", _getting), ("C-MOVE", "move", _moving)):
        session = partial(_session, retrieving, images)
        yield Case(f"{service} {images} images", needs, (_RATE,), session, reused=True)


@contextmanager
def _session(
    retrieving: Callable[..., Iterator[Operation]],
    images: int,
    contestant: Contestant,
    directory: Path,
) -> Iterator[Measure]:
    with sink() as destination, running(contestant, directory, destination.port) as node:
        store = partial(storing, node.port, node.called, _SHAPE, per_series=images)
        drive(store, 1, count=images)
        prepare = partial(contextmanager(retrieving), node, images)
        yield lambda: (images * drive(prepare, 1, count=1).rate,)


def _keys() -> bytes:
    return data.identifier(
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID=data.study_uid(0),
        SeriesInstanceUID=data.series_uid(0),
    )


def _getting(node: Running, images: int, _sender: int) -> Iterator[Operation]:
    contexts = [
        wire.Context(1, wire.STUDY_ROOT_GET, data.EXPLICIT_LITTLE),
        wire.Context(3, _SHAPE.sop_class_uid, data.EXPLICIT_LITTLE, scp_role=True),
    ]
    request = wire.request(wire.C_GET_RQ, wire.STUDY_ROOT_GET, dataset=True)
    with Client(node.port, contexts, node.called) as client:

        def get() -> None:
            client.send(client.encode(1, request, _keys()))
            whole = [m for m in client.responses() if m.dataset_bytes > _SHAPE.pixel_bytes]
            _check(len(whole), images)

        yield get


def _moving(node: Running, images: int, _sender: int) -> Iterator[Operation]:
    contexts = [wire.Context(1, wire.STUDY_ROOT_MOVE, data.EXPLICIT_LITTLE)]
    request = wire.request(wire.C_MOVE_RQ, wire.STUDY_ROOT_MOVE, dataset=True, destination=MOVE_AE)
    with Client(node.port, contexts, node.called) as client:

        def move() -> None:
            client.send(client.encode(1, request, _keys()))
            *_, last = client.responses()
            _check(wire.number_in(last.command, _COMPLETED), images)

        yield move


def _check(came: int, images: int) -> None:
    if came != images:
        raise PeerError(f"{came} of {images} images came")
