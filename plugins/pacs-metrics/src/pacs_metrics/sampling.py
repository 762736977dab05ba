"""Measures now and then what is not counted as it happens.

Theory of operation
-------------------
Every worker of the node samples itself: its queues, its share of the memory budget, its codec
processes, its event loop, and what the system knows of the process. The meter adds up over
workers. What all workers would find alike (disks, certificates, jobs, changes, health) is sampled
by the first worker alone, else the sums would be multiples of it; when that worker dies, the one
that takes its place has its number.

So a scrape reads memory only: however often somebody asks, neither index nor database is.
"""

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from mmap import PAGESIZE
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final

import anyio

from pacs_core.api.pauses import common_moment
from pacs_core.contracts import Gauge, Node, NodeInspector, Service, Started
from pacs_metrics.counting import IngestCounter, OperationCounter

if TYPE_CHECKING:
    from pacs_jobs.api import JobQueue

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between samples; scrapers come every 15 to 60."""
NODE_INTERVAL: Final = 10.0
"""The same of what others must be asked for: rooms, jobs, health."""
_PROCESS: Final = Path("/proc/self")
_DEADLINE: Final = 4.0
_OF_THE_NODE: Final = frozenset({"changes", "spool"})
_BEAT: Final = 1.0
"""Seconds between looks at how late the event loop is."""
_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class _Table:
    """A gauge of which rows may disappear: those that are gone become 0."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def fill(self, rows: Iterable[tuple[float, dict[str, str]]]) -> None:
        found = {tuple(labels.values()): (value, labels) for value, labels in rows}
        for key, labels in self._known.items():
            if key not in found:
                self._gauge.set(0, **labels)
        for key, (value, labels) in found.items():
            self._known[key] = labels
            self._gauge.set(value, **labels)


class ProcessSampler:
    """Samples one worker."""

    def __init__(self, node: Node) -> None:
        meter = node.meter
        self._inspector = node.find(NodeInspector)
        self._worker = str(node.worker.slot)
        self._waiting = _Table(
            meter.gauge(
                "metrics_queue_waiting",
                "What waits: events, changes; of write-behind, bytes",
                labels=("queue", "kind"),
            )
        )
        self._lost = meter.counter(
            "metrics_queue_lost", "What was dropped or failed", labels=("queue", "kind")
        )
        self._oldest = _Table(
            meter.gauge(
                "metrics_queue_oldest_seconds",
                "For how long the first of them has waited",
                labels=("queue", "kind", "worker"),
            )
        )
        self._lost_before: dict[tuple[str, str], int] = {}
        self._free = {
            "memory": meter.gauge(
                "metrics_memory_budget_free_bytes", "For datasets under way, that none holds"
            ),
            "codec-processes": meter.gauge(
                "metrics_codec_processes_free", "Codec processes that are idle, or not yet started"
            ),
        }
        self._limit = {
            "memory": meter.gauge("metrics_memory_budget_bytes", "For datasets under way, in all"),
            "codec-processes": meter.gauge(
                "metrics_codec_processes_limit", "Codec processes that there may be"
            ),
        }
        labels = ("worker",)
        self._resident = meter.gauge(
            "metrics_process_resident_memory_bytes", "Resident memory", labels=labels
        )
        self._descriptors = meter.gauge(
            "metrics_process_open_fds", "Open file descriptors", labels=labels
        )
        self._cpu = meter.counter(
            "metrics_process_cpu_seconds", "Processor time of user and system", labels=labels
        )
        self._cpu_before = 0.0
        self._is_first = node.worker.slot == 0

    async def sample(self) -> None:
        """Take a sample."""
        queues = await self._inspector.queues()
        # Changes and spools wait for the node, all else for a process.
        own = [each for each in queues if self._is_first or each.kind not in _OF_THE_NODE]
        self._waiting.fill((q.waiting, {"queue": q.name, "kind": q.kind}) for q in own)
        worker = self._worker
        self._oldest.fill((q.age, {"queue": q.name, "kind": q.kind, "worker": worker}) for q in own)
        for queue in own:
            key = queue.name, queue.kind
            # Also what is 0: a monitor sees that a counter has gone up only if it was there before.
            more = max(queue.lost - self._lost_before.get(key, 0), 0)
            self._lost.add(more, queue=queue.name, kind=queue.kind)
            self._lost_before[key] = queue.lost
        for resource in await self._inspector.resources():
            if resource.name in self._free:
                self._free[resource.name].set(resource.free)
                self._limit[resource.name].set(resource.limit)
        # The client library could tell, but is not in memory before somebody scrapes.
        with suppress(OSError):  # a system without /proc says nothing of this
            pages = int(_PROCESS.joinpath("statm").read_text().split()[1])
            self._resident.set(pages * PAGESIZE, worker=self._worker)
            self._descriptors.set(len(os.listdir(_PROCESS / "fd")), worker=self._worker)
        cpu = process_time()
        self._cpu.add(max(cpu - self._cpu_before, 0.0), worker=self._worker)
        self._cpu_before = cpu


class NodeSampler:
    """Samples what is the same in all workers."""

    def __init__(self, node: Node) -> None:
        meter, self._node = node.meter, node
        self._inspector = node.find(NodeInspector)
        self._jobs = _find_jobs(node)
        meter.gauge("metrics_node", "Always 1", labels=("version",)).set(
            1, version=version("pacs-core")
        )
        meter.gauge("metrics_workers", "Processes that serve").set(node.worker.count)
        by_directory, by_check = ("directory",), ("check",)
        self._disk_free = meter.gauge(
            "metrics_disk_free_bytes", "Room on a disk of the archive", labels=by_directory
        )
        self._disk_size = meter.gauge(
            "metrics_disk_size_bytes", "Size of that disk", labels=by_directory
        )
        self._up = meter.gauge(
            "metrics_health", "1 if a part of the node works, else 0", labels=by_check
        )
        self._took = meter.histogram(
            "metrics_health_check_seconds",
            "How long a part took to answer",
            labels=by_check,
        )
        self._expiry = meter.gauge(
            "metrics_certificate_expiry_timestamp_seconds",
            "When a certificate expires; 0 if it cannot be read",
            labels=("certificate",),
        )
        self._backlog = _Table(
            meter.gauge("metrics_jobs", "Jobs that have not ended well", labels=("kind", "state"))
        )
        self._overdue = _Table(
            meter.gauge(
                "metrics_jobs_overdue_seconds",
                "Since the oldest job that waits was due",
                labels=("kind",),
            )
        )

    async def sample(self) -> None:
        """Take a sample."""
        for each in await self._inspector.resources():
            if each.name == "room":
                self._disk_free.set(each.free, directory=each.where)
                self._disk_size.set(each.limit, directory=each.where)
        for result in await self._node.health.run(_DEADLINE):
            self._up.set(0 if result.problem else 1, check=result.name)
            self._took.observe(result.seconds, check=result.name)
        for certificate in await anyio.to_thread.run_sync(self._inspector.certificates):
            end = certificate.not_after.timestamp() if certificate.not_after else 0.0
            self._expiry.set(end, certificate=certificate.where)
        if self._jobs is not None:
            await self._sample_jobs(self._jobs)

    async def _sample_jobs(self, queue: "JobQueue") -> None:
        from time import time

        backlog = await queue.backlog()
        self._backlog.fill((b.count, {"kind": b.kind, "state": b.state.value}) for b in backlog)
        self._overdue.fill(
            (max(time() - b.oldest.timestamp(), 0.0), {"kind": b.kind})
            for b in backlog
            if b.state.value == "waiting"
        )


def _find_jobs(node: Node) -> "JobQueue | None":
    if find_spec("pacs_jobs") is None:
        return None
    from pacs_jobs.api import JobQueue

    return node.find(JobQueue) if node.capabilities.provides(JobQueue) else None


class Sampler(Service):
    """Counts operations, and samples, for as long as the node serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._operations, self._ingests = OperationCounter(node), IngestCounter(node)
        self._lag = node.meter.histogram(
            "metrics_event_loop_lag_seconds",
            "How late the event loop is",
            labels=("worker",),
            buckets=_LAGS,
        )

    async def start(self) -> None:
        """Begin to count."""
        self._node.operations.add(self._operations)
        self._node.ingests.add(self._ingests)

    async def stop(self) -> None:
        """Count no more."""
        self._node.ingests.remove(self._ingests)
        self._node.operations.remove(self._operations)

    async def run(self, started: Started) -> None:
        """Sample until cancelled."""
        started()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen_to_heart)
            tasks.start_soon(_repeat, ProcessSampler(self._node), INTERVAL)
            if self._node.worker.slot == 0:
                tasks.start_soon(_repeat, NodeSampler(self._node), NODE_INTERVAL)

    async def _listen_to_heart(self) -> None:
        worker = str(self._node.worker.slot)
        while True:
            due = common_moment(_BEAT)
            await anyio.sleep_until(due)
            self._lag.observe(max(anyio.current_time() - due, 0.0), worker=worker)


async def _repeat(sampler: ProcessSampler | NodeSampler, interval: float) -> None:
    while True:
        try:
            await sampler.sample()
        except Exception:
            # An index or a database that does not answer is what the other metrics tell of.
            logger.exception("%s could not sample", type(sampler).__name__)
        await anyio.sleep_until(common_moment(interval))
