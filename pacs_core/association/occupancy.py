"""How many associations a node serves, over all of its worker processes."""

import mmap

_WIDTH = 4  # bytes of a native unsigned int


class Occupancy:
    """A count for each worker of a node, in memory that they share after a fork.

    Each worker writes its own count only, so no lock is needed; between reading and writing
    another worker may accept one association more than the limit allows.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, workers * _WIDTH)
        self._counts = memoryview(self._memory).cast("I")
        self.workers = workers
        self.worker = 0

    @property
    def prefix(self) -> str:
        """What the identifiers of this worker's associations begin with."""
        return f"W{self.worker}A" if self.workers > 1 else "A"

    def publish(self, associations: int, worker: int | None = None) -> None:
        """Set the count of this worker, or of the one given."""
        self._counts[self.worker if worker is None else worker] = associations

    @property
    def elsewhere(self) -> int:
        """Associations that the other workers serve."""
        return sum(self._counts) - self._counts[self.worker]
