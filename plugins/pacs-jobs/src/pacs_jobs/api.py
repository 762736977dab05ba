"""Public API for plugins that have work to be done later, again, or at set times.

This module imports SQLAlchemy for types only, so that declaring kinds costs nothing at start-up.
"""

from pacs_jobs.jobs import (
    Job,
    JobFailedError,
    JobHandler,
    JobKind,
    JobState,
    NewJob,
    Progress,
    RunningJob,
)
from pacs_jobs.queue import JobBacklog, JobFilter, JobQueue, LeasedJob, LeaseLostError

__all__ = [
    "Job",
    "JobBacklog",
    "JobFailedError",
    "JobFilter",
    "JobHandler",
    "JobKind",
    "JobQueue",
    "JobState",
    "LeaseLostError",
    "LeasedJob",
    "NewJob",
    "Progress",
    "RunningJob",
]
