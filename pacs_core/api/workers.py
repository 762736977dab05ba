"""Processes that plugins start for work on what anybody may send: lent, used again, killed.

What runs in them confines itself first: :mod:`pacs_core.api.sandbox`, which imports less than this.
"""

from pacs_core.sandbox.pool import (
    Worker,
    WorkerDiedError,
    WorkerPool,
    WorkerTimeoutError,
    worker_environment,
)

__all__ = [
    "Worker",
    "WorkerDiedError",
    "WorkerPool",
    "WorkerTimeoutError",
    "worker_environment",
]
