"""A plugin of its own that provides the counter."""

from pacs_beacon.beacon import Counter
from pacs_core.contracts import CapabilityDescriptor, Setup
from pacs_core.plugins import hookimpl


class Visitors(Counter):
    """Counts in memory, once it was started."""

    async def start(self) -> None:
        """Begin with nobody."""
        self._visitors = 0

    def count(self) -> int:
        """Return one more each time."""
        self._visitors += 1
        return self._visitors


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the counter."""
    return [CapabilityDescriptor("visitors", Counter, lambda node: Visitors())]
