"""The transcoder of a configuration, with the codecs that its plugins have registered."""

import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import evolve

from pacs_core.app.assembly import Assembly
from pacs_core.association.budget import ByteBudget
from pacs_core.concurrency import task_group
from pacs_core.contracts import CodecDescriptor, TransferPolicy
from pacs_core.dataset import short_name_of
from pacs_core.sandbox import describe_protection
from pacs_core.transcoding import (
    CodecTable,
    CodecWorkers,
    NodeTranscoder,
    Planner,
    WorkerLimits,
    WorkerProcess,
)

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_transcoder(
    assembly: Assembly, started: Sequence[WorkerProcess] = (), *, files: bool = False
) -> AsyncIterator[NodeTranscoder]:
    """Transcode for the length of an ``async with`` block.

    Nothing is started before there is something to convert, and no process is left at the end.

    Parameters
    ----------
    assembly : Assembly
    started : sequence of WorkerProcess
        Codec processes that run already, see `start_early`.
    files : bool
        Whether whole files are to be converted: then codec processes may open files.

    Raises
    ------
    ConfigError
        The configuration names codecs that are not there.
    """
    settings = assembly.config.transcoding
    default = TransferPolicy(preferred=settings.preferred_uids)
    planner = Planner(assembly.codecs(), default, settings.verify)
    limits = _share(settings.limits, assembly.config.node.workers)
    workers = CodecWorkers(limits, started, files=files)
    room = ByteBudget(assembly.config.network.memory_budget // assembly.config.node.workers)
    async with task_group() as tasks:
        await workers.start(tasks)
        try:
            yield NodeTranscoder(planner, workers, tasks, room)
        finally:
            await workers.stop()
            tasks.cancel_scope.cancel()


def _share(limits: WorkerLimits, nodes: int) -> WorkerLimits:
    """Divide the cores among the processes of a node, if their number is not configured."""
    if limits.workers is not None or nodes == 1:
        return limits
    return evolve(limits, workers=max((os.cpu_count() or 1) // nodes, 1))


def log_codecs(table: CodecTable, *, confined: bool) -> None:
    """Say in the log which codec decodes and encodes each transfer syntax, and confined how."""
    encoders = {target: codec for (_, target), codec in table.recompressors.items()}
    encoders |= table.encoders
    chosen = {
        short_name_of(uid): (table.decoders.get(uid), encoders.get(uid))
        for uid in sorted(table.decoders.keys() | encoders.keys(), key=short_name_of)
    }
    if chosen:
        logger.info("codecs: %s", "; ".join(f"{n} {_names(*pair)}" for n, pair in chosen.items()))
        protection = describe_protection() if confined else "limits only (confine = false)"
        logger.info("codec processes: %s", protection)


def _names(decoder: CodecDescriptor | None, encoder: CodecDescriptor | None) -> str:
    """Return the name of the codec, or of both if they are two."""
    names = [codec.name if codec else "none" for codec in (decoder, encoder)]
    return " / ".join(dict.fromkeys(names))
