"""Counters and gauges of lifecycle, for whoever collects metrics."""

from typing import Final

import anyio
from attrs import define

from pacs_core.contracts import DifferenceKind, Node, Service, Started
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import Findings, Quotas, WaitingBin
from pacs_lifecycle.scrubbing import NAME as SCRUB

_LOOK: Final = 60.0


@define(eq=False)
class MeterLifecycle(Service):
    """Looks once a minute.

    Parameters
    ----------
    node : Node
    config : LifecycleConfig
    """

    node: Node
    config: LifecycleConfig

    async def run(self, started: Started) -> None:
        """Look until cancelled."""
        started()
        meter = self.node.meter
        size = meter.gauge("lifecycle_bin_bytes", "What waits in the bin.", unit="bytes")
        quota = meter.gauge(
            "lifecycle_quota_used_bytes", "What is used of quotas.", unit="bytes", labels=("quota",)
        )
        faults = meter.gauge(
            "lifecycle_faults", "Objects that are damaged, missing or unknown.", labels=("kind",)
        )
        read = meter.gauge(
            "lifecycle_scrubbed_bytes", "What was read again in this pass.", unit="bytes"
        )
        ended = meter.gauge(
            "lifecycle_scrub_ended_seconds", "When the last pass ended.", unit="seconds"
        )
        while True:
            size.set((await self.node.find(WaitingBin).total()).size)
            for name in self.config.quotas:
                quota.set((await self.node.find(Quotas).usage(name)).size, quota=name)
            if self.config.finds_faults:
                counts = await self.node.find(Findings).counts()
                for kind in DifferenceKind:
                    faults.set(counts.get(kind.value, 0), kind=kind.value)
            if self.config.scrub.every:
                state = await self.node.find(Findings).last(SCRUB)
                read.set(state.size)
                ended.set(state.ended)
            await anyio.sleep(_LOOK)
