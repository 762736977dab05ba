"""Description of jobs as JSON: the same from a command and over HTTP."""

from collections.abc import Mapping
from typing import Final

from pacs_jobs.jobs import Job

FIELDS: Final[Mapping[str, type]] = {
    "number": int,
    "kind": str,
    "state": str,
    "arguments": dict,
    "priority": int,
    "key": str,
    "idempotency_key": str,
    "attempts": int,
    "created": str,
    "due": str,
    "ended": str,
    "worker": str,
    "done": int,
    "total": int,
    "note": str,
    "error": str,
    "cancel_requested": bool,
    "correlation": str,
}
"""The members of a description; times are those of ISO 8601, or empty."""


def describe(job: Job) -> dict[str, object]:
    """Return all that is known of a job, as JSON can carry it."""
    return {
        "number": job.number,
        "kind": job.kind,
        "state": str(job.state),
        "arguments": dict(job.arguments),
        "priority": job.priority,
        "key": job.key,
        "idempotency_key": job.idempotency_key,
        "attempts": job.attempts,
        "created": job.created.isoformat(),
        "due": job.due.isoformat(),
        "ended": job.ended.isoformat() if job.ended else "",
        "worker": job.worker,
        "done": job.progress.done,
        "total": job.progress.total,
        "note": job.progress.note,
        "error": job.error,
        "cancel_requested": job.cancel_requested,
        "correlation": job.correlation.id,
    }
