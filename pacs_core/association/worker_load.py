"""Load of each of a node's worker processes, in memory that they share."""

import mmap

_WIDTH = 4  # bytes of a native unsigned int


class WorkerLoad:
    """Counts for each worker of a node, in memory that they share after a fork.

    Each worker writes its own counts only, so no lock is needed; between reading and writing
    another worker may accept one association more than the limit allows.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, 2 * workers * _WIDTH)
        counts = memoryview(self._memory).cast("I")
        self._counts, self._connections = counts[:workers], counts[workers:]
        self.workers = workers
        self.worker = 0

    @property
    def prefix(self) -> str:
        """What the identifiers of this worker's associations begin with."""
        return f"W{self.worker}A" if self.workers > 1 else "A"

    def publish(self, associations: int) -> None:
        """Set how many associations this worker serves."""
        self._counts[self.worker] = associations

    def connect(self, change: int) -> None:
        """Count connections of this worker that begin, or end if negative."""
        self._connections[self.worker] += change

    def clear(self, worker: int) -> None:
        """Note that a worker has died."""
        self._counts[worker] = self._connections[worker] = 0

    @property
    def is_ahead(self) -> bool:
        """Whether another worker has fewer connections."""
        return self._connections[self.worker] > min(self._connections)

    @property
    def elsewhere(self) -> int:
        """Associations that the other workers serve."""
        return sum(self._counts) - self._counts[self.worker]
