"""One object of a gibibyte, in and out again: throughput, and how much memory it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from attrs import evolve

from .. import data, wire
from ..client import Client
from ..contestant import Contestant, Running, running
from ..load import Operation, Prepare, drive, storage_context
from ..memory import Peak
from ..runner import Case, Measure, Metric, Options

_MEGABYTE = 1_000_000
_SMALLEST = 16  # frames


def cases(options: Options) -> Iterator[Case]:
    """Yield a case for each direction."""
    full = data.SHAPES["1gb"]
    shape = evolve(full, frames=max(_SMALLEST, int(full.frames * options.scale)))
    size = f"{shape.pixel_bytes / (1 << 30):.3g} GiB"
    metrics = (Metric("rate", "MB/s"), Metric("memory growth", "MB", higher_is_better=False))
    yield Case(f"C-STORE {size}", "store", metrics, partial(_store, shape))
    yield Case(f"C-GET {size}", "get", metrics, partial(_get, shape))


@contextmanager
def _store(shape: data.Shape, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        yield lambda: _timed(node, partial(_sending, node, shape), shape)


@contextmanager
def _get(shape: data.Shape, contestant: Contestant, directory: Path) -> Iterator[Measure]:
    with running(contestant, directory) as node:
        drive(partial(_sending, node, shape), 1, count=1)
        yield lambda: _timed(node, partial(_fetching, node, shape), shape)


def _timed(node: Running, prepare: Prepare, shape: data.Shape) -> tuple[float, float]:
    peak = Peak(node.process.pid)
    load = drive(prepare, 1, count=1, sample=peak.sample)
    return shape.pixel_bytes / load.seconds / _MEGABYTE, peak.growth / _MEGABYTE


@contextmanager
def _sending(node: Running, shape: data.Shape, _sender: int) -> Iterator[Operation]:
    context, tls = storage_context(shape.sop_class_uid), node.contestant.tls
    with Client(node.port, [context], node.called, tls=tls) as client:
        request = wire.store_request(shape.sop_class_uid, data.instance_uid(0))

        def send() -> None:
            client.send(client.encode(1, request))
            client.stream(1, chain([data.header(shape)], data.pixels(shape)))
            client.confirm()

        yield send


@contextmanager
def _fetching(node: Running, shape: data.Shape, _sender: int) -> Iterator[Operation]:
    contexts = [
        wire.Context(1, wire.STUDY_ROOT_GET, data.EXPLICIT_LITTLE),
        wire.Context(3, shape.sop_class_uid, data.EXPLICIT_LITTLE, scp_role=True),
    ]
    keys = data.identifier(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID=data.study_uid(0),
        SeriesInstanceUID=data.series_uid(0),
        SOPInstanceUID=data.instance_uid(0),
    )
    request = wire.request(wire.C_GET_RQ, wire.STUDY_ROOT_GET, dataset=True)
    with Client(node.port, contexts, node.called) as client:

        def fetch() -> None:
            client.send(client.encode(1, request, keys))
            received = sum(message.dataset_bytes for message in client.responses())
            assert received >= shape.pixel_bytes, f"{received} bytes came"

        yield fetch
