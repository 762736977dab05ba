"""Status of the node as its page and the API show it: room, queues, durations, configuration."""

import shutil
from collections.abc import Iterator
from math import inf
from pathlib import Path

from anyio import to_thread
from attrs import frozen

from pacs_core.contracts import (
    Archive,
    ConfigValue,
    Level,
    Metric,
    Node,
    NodeInspector,
    PluginStatus,
    Query,
    QueueStatus,
    Sample,
)
from pacs_web_ui.load import HTTP, REQUEST_SECONDS, SECONDS


@frozen
class DiskStatus:
    """A file system on which the node keeps something; numbers are bytes."""

    directories: tuple[str, ...]
    total: int
    used: int
    free: int


@frozen
class DurationStatus:
    """How long operations of a kind took since the node began.

    Attributes
    ----------
    operation : str
    count : int
    mean : float
        Milliseconds.
    median, most : float
        Milliseconds that half of them, and 95 of 100, did not exceed; -1 if it was more than a
        minute.
    """

    operation: str
    count: int
    mean: float
    median: float
    most: float


@frozen
class NodeStatus:
    """How the node is doing.

    Attributes
    ----------
    addresses : tuple of str
        Where it listens for associations.
    patients, studies, series, instances : int
        That whoever asks may see.
    disks : tuple of DiskStatus
    queues : tuple of QueueStatus
    durations : tuple of DurationStatus
    plugins : tuple of PluginStatus
    warnings : tuple of str
    worker, workers : int
        Which of how many processes says so, from 1.
    """

    addresses: tuple[str, ...]
    patients: int
    studies: int
    series: int
    instances: int
    disks: tuple[DiskStatus, ...]
    queues: tuple[QueueStatus, ...]
    durations: tuple[DurationStatus, ...]
    plugins: tuple[PluginStatus, ...]
    warnings: tuple[str, ...]
    worker: int
    workers: int


async def read_status(node: Node, archive: Archive) -> NodeStatus:
    """Return how the node is doing, for whoever may see what `archive` shows."""
    inspector = node.find(NodeInspector) if node.capabilities.provides(NodeInspector) else None
    return NodeStatus(
        tuple(inspector.addresses) if inspector else (),
        await archive.count(Query(Level.PATIENT)),
        await archive.count(Query(Level.STUDY)),
        await archive.count(Query(Level.SERIES)),
        await archive.count(Query(Level.IMAGE)),
        tuple(await to_thread.run_sync(lambda: list(_disks(node)))),
        tuple(await inspector.queues()) if inspector else (),
        tuple(_durations(node.meter.collect())),
        tuple(inspector.plugins()) if inspector else (),
        tuple(await inspector.warnings()) if inspector else (),
        node.worker.slot + 1,
        node.worker.count,
    )


def read_configuration(node: Node) -> tuple[ConfigValue, ...]:
    """Return the keys of the configuration; none where the kernel does not say."""
    if not node.capabilities.provides(NodeInspector):
        return ()
    return tuple(node.find(NodeInspector).configuration())


def _disks(node: Node) -> Iterator[DiskStatus]:
    found: dict[int, list[Path]] = {}
    directories = [node.settings.data_directory]
    directories += [each for store in node.stores.values() for each in store.directories]
    for each in directories:
        if each.is_dir():
            found.setdefault(each.stat().st_dev, []).append(each.absolute())
    for together in found.values():
        usage = shutil.disk_usage(together[0])
        outermost = [
            each for each in dict.fromkeys(together)
            if not any(other in each.parents for other in together)
        ]  # fmt: skip
        names = tuple(str(each) for each in outermost)
        yield DiskStatus(names, usage.total, usage.used, usage.free)


def _durations(metrics: list[Metric]) -> Iterator[DurationStatus]:
    for metric in metrics:
        if metric.name not in (SECONDS, REQUEST_SECONDS):
            continue
        for sample in sorted(metric.samples, key=_operation):
            if count := sample.buckets[-1][1]:
                mean = 1000 * sample.value / count
                half, most = _bound(sample, 0.5), _bound(sample, 0.95)
                yield DurationStatus(_operation(sample), count, mean, half, most)


def _operation(sample: Sample) -> str:
    return sample.labels.get("operation", HTTP)


def _bound(sample: Sample, share: float) -> float:
    """Return the upper bound in milliseconds that a share of the observations did not exceed."""
    wanted = share * sample.buckets[-1][1]
    bound = next(bound for bound, count in sample.buckets if count >= wanted)
    return -1.0 if bound == inf else 1000 * bound
