"""Contract suites: of queues, and of the kinds of jobs that plugins declare."""

from pacs_jobs.testing.kind_contract import JobKindContract
from pacs_jobs.testing.queue_contract import JobQueueContract

__all__ = ["JobKindContract", "JobQueueContract"]
