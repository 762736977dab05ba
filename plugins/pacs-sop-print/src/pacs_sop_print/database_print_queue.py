"""Print jobs of the site: accepted, printed, done or failed.

The files of a job are durable before its row and the job of the job queue are written, in one
transaction; and only then is it acknowledged.
"""

import time
from collections.abc import Sequence
from typing import Final

import anyio
from pacs_database.api import Database
from pacs_jobs.api import JobQueue, NewJob
from sqlalchemy import ColumnElement, delete, func, insert, select, update

from pacs_core.contracts import Node, PluginInfo
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import PrintJob
from pacs_sop_print.interface import (
    ENDED,
    PRINT,
    ExecutionStatus,
    JobRecord,
    PrintQueue,
    QueueFullError,
)
from pacs_sop_print.spool import Spool
from pacs_sop_print.tables import JOBS

_PRIORITIES: Final = {"HIGH": 1, "MED": 0, "LOW": -1}
_LOCK: Final = int.from_bytes(b"prints", "big")
"""Of those who enter print jobs, on PostgreSQL."""
_ORPHAN: Final = 3600.0
"""Seconds after which a folder is of a job that was never entered, not of one that is just made."""


class DatabasePrintQueue(PrintQueue):
    """Print jobs in the site's database, and their files.

    Parameters
    ----------
    node : Node
    plugin : PluginInfo
    config : PrintConfig
    """

    def __init__(self, node: Node, plugin: PluginInfo, config: PrintConfig) -> None:
        self._node = node
        self._config = config
        self.spool = Spool(plugin.directory, node.worker.slot)
        self.directory = plugin.directory

    async def start(self) -> None:
        """Make table and folders what this version expects."""
        self._database = self._node.find(Database)
        await self._database.migrate("print", "pacs_sop_print.revisions")
        await anyio.to_thread.run_sync(self.spool.prepare)

    async def accept(self, job: PrintJob, folder: str) -> None:
        """Enter a job whose files are kept: it will be printed, whatever happens.

        Raises
        ------
        QueueFullError
        """
        waiting = select(func.count()).where(JOBS.c.state.not_in(ENDED))
        async with self._database.begin() as connection:
            if self._database.dialect == "postgresql":
                # Nobody else enters a job between counting and entering; SQLite has one writer.
                await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            if (await connection.execute(waiting)).scalar_one() >= self._config.max_jobs:
                raise QueueFullError(f"{self._config.max_jobs} print jobs wait already")
            await connection.execute(
                insert(JOBS).values(
                    uid=job.uid,
                    folder=folder,
                    state=ExecutionStatus.PENDING,
                    info="QUEUED",
                    error="",
                    priority=job.priority,
                    label=job.label,
                    originator=job.originator,
                    films=len(job.films),
                    created=job.created,
                    changed=time.time(),
                )
            )
            queued = NewJob(
                PRINT,
                {"uid": job.uid},
                priority=_PRIORITIES.get(job.priority, 0),
                key="print",
                idempotency_key=job.uid,
            )
            await self._node.find(JobQueue).enqueue(queued, connection=connection)

    async def find(self, uid: str) -> JobRecord | None:
        """Return a print job, or None."""
        found = await self._read(JOBS.c.uid == uid)
        return found[0] if found else None

    async def find_all(self, uids: Sequence[str]) -> list[JobRecord]:
        """Return those print jobs that are known."""
        return await self._read(JOBS.c.uid.in_(uids))

    async def _read(self, condition: ColumnElement[bool]) -> list[JobRecord]:
        columns = [column for column in JOBS.c if column.name != "changed"]
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(*columns).where(condition))).all()
        return [JobRecord(**row._asdict() | {"state": ExecutionStatus(row.state)}) for row in rows]

    async def note(
        self, uid: str, state: ExecutionStatus, info: str = "NORMAL", error: str = ""
    ) -> None:
        """Say how far a print job is."""
        values = {"state": state, "info": info, "error": error[:500], "changed": time.time()}
        async with self._database.begin() as connection:
            await connection.execute(update(JOBS).where(JOBS.c.uid == uid).values(values))

    async def trouble(self) -> str:
        """Return why the print job that was tried last did not print; empty if it did."""
        last = select(JOBS.c.error).where(JOBS.c.info != "QUEUED")
        async with self._database.connect() as connection:
            found = await connection.execute(last.order_by(JOBS.c.changed.desc()).limit(1))
        return str(found.scalar_one_or_none() or "")

    async def forget(self, ended_before: float) -> int:
        """Forget jobs that ended before a time, and folders that no job has; return how many."""
        condition = JOBS.c.state.in_(ENDED) & (JOBS.c.changed < ended_before)
        async with self._database.begin() as connection:
            gone = (await connection.execute(delete(JOBS).where(condition))).rowcount
            known = set((await connection.execute(select(JOBS.c.folder))).scalars())
        orphans = [
            name
            for name, made in await anyio.to_thread.run_sync(lambda: list(self.spool.names()))
            if name not in known and made < time.time() - _ORPHAN
        ]
        for name in orphans:
            await anyio.to_thread.run_sync(self.spool.drop, name)
        return int(gone)
