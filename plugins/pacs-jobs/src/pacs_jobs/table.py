"""The table of jobs, as SQLAlchemy Core knows it; the revisions make it."""

import json
from datetime import UTC, datetime
from typing import Any

from pacs_database.api import DatabaseConnection
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    func,
    select,
)

from pacs_core.contracts import Correlation
from pacs_jobs.jobs import Job, JobState, Progress

JOBS = Table(
    "jobs",
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", Text),
    Column("arguments", Text),
    Column("priority", Integer),
    Column("key", Text),
    Column("idempotency_key", Text),
    Column("state", Text),
    Column("due", Double),
    Column("attempts", Integer),
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("note", Text),
    Column("error", Text),
    Column("worker", Text),
    Column("token", Text),
    Column("leased_until", Double),
    Column("created", Double),
    Column("ended", Double),
    Column("cancel_requested", Boolean),
    Column("correlation", Text),
    Column("trace_parent", Text),
)


def job_of(row: Row[Any]) -> Job:
    """Return the job in a row of :data:`JOBS`."""
    return Job(
        row.number,
        row.kind,
        json.loads(row.arguments),
        row.priority,
        row.key,
        row.idempotency_key or "",
        JobState(row.state),
        _moment(row.due),
        row.attempts,
        Progress(row.done, row.total, row.note),
        row.error,
        row.worker,
        _moment(row.created),
        None if row.ended is None else _moment(row.ended),
        row.cancel_requested,
        Correlation(row.correlation, row.trace_parent),
    )


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


async def current_time(connection: DatabaseConnection) -> float:
    """Return seconds since the epoch, by the one clock that all who use the database share."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC).timestamp()
    clock = func.extract("epoch", func.clock_timestamp())
    return float((await connection.execute(select(clock))).scalar_one())
