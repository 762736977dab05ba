"""The service that traces, one in each worker."""

import logging
from threading import Thread
from typing import TYPE_CHECKING, Final

import anyio

from pacs_core.contracts import Node, Service, Started
from pacs_tracing.config import TracingConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from pacs_tracing.observing import IngestSpans, OperationSpans
    from pacs_tracing.spans import OtelTracer

logger = logging.getLogger(__name__)

_LAST_WORD: Final = 5.0
"""Seconds for the collector to take what is left when the node ends."""


class TracingService(Service):
    """Tells a collector what the node does, for as long as it serves.

    Parameters
    ----------
    node : Node
    config : TracingConfig
    """

    _provider: "TracerProvider"
    _tracer: "OtelTracer"
    _operations: "OperationSpans"
    _ingests: "IngestSpans"

    def __init__(self, node: Node, config: TracingConfig) -> None:
        self._node, self._config = node, config

    async def start(self) -> None:
        """Import the SDK, and begin to be told."""
        # Which takes a while, and begins a thread: after the fork, so in each worker.
        self._provider = await anyio.to_thread.run_sync(self._make_provider)
        from pacs_tracing.observing import IngestSpans, OperationSpans
        from pacs_tracing.spans import OtelTracer

        tracer = self._provider.get_tracer("pacs_core")
        self._tracer = OtelTracer(tracer)
        self._operations = OperationSpans(tracer, self._config.uids)
        self._ingests = IngestSpans(tracer, self._config.uids)
        self._node.tracing.use(self._tracer)
        self._node.operations.add(self._operations)
        self._node.ingests.add(self._ingests)

    def _make_provider(self) -> "TracerProvider":
        from pacs_tracing.exporting import make_provider

        return make_provider(self._config, self._node.settings, self._node.worker)

    async def run(self, started: Started) -> None:
        """Do nothing: spans end in the tasks that they are about."""
        started()
        await anyio.sleep_forever()

    async def stop(self) -> None:
        """Send what is left, for a moment."""
        self._node.tracing.leave(self._tracer)
        self._node.operations.remove(self._operations)
        self._node.ingests.remove(self._ingests)
        # A thread of its own, for which the process does not wait when it exits.
        ending = Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        ending.start()
        with anyio.move_on_after(_LAST_WORD, shield=True):
            while ending.is_alive():  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.05)
        if ending.is_alive():
            logger.warning("%s did not take the last spans", self._config.endpoint)
