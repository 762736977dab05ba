"""Print jobs in a database: no more than the queue has room for, whoever enters them."""

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.database_print_queue import DatabasePrintQueue
from pacs_sop_print.films import PrintJob
from pacs_sop_print.interface import QueueFullError

from pacs_core.contracts import PluginInfo
from pacs_core.testing.operations import memory_node

pytestmark = pytest.mark.anyio


async def test_workers_that_enter_at_once_do_not_overfill_it(
    tmp_path: Path, database_url: str
) -> None:
    accepted: list[str] = []
    full: list[str] = []
    async with AsyncExitStack() as stack:
        queues = []
        for _ in range(4):
            node = memory_node()
            database = await stack.enter_async_context(open_database(tmp_path, database_url))
            jobs = DatabaseJobQueue(database)
            await jobs.start()
            node.capabilities.provide(Database, database)  # type: ignore[type-abstract]
            node.capabilities.provide(JobQueue, jobs)  # type: ignore[type-abstract]
            plugin = PluginInfo("sop-print", tmp_path)
            queues.append(DatabasePrintQueue(node, plugin, PrintConfig(max_jobs=3)))
            await queues[-1].start()

        async def enter(number: int) -> None:
            try:
                await queues[number % 4].accept(PrintJob(f"1.2.{number}", ()), "folder")
                accepted.append(f"1.2.{number}")
            except QueueFullError:
                full.append(f"1.2.{number}")

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(enter, number)
        assert (len(accepted), len(full)) == (3, 9)
        assert {each.uid for each in await queues[0].find_all(accepted + full)} == set(accepted)
