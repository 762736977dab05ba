"""Numbers that the workers of a node keep together."""

from pacs_core.metering.memory import MeterMemory
from pacs_core.metering.meter import NodeMeter, clear_gauges

__all__ = ["MeterMemory", "NodeMeter", "clear_gauges"]
