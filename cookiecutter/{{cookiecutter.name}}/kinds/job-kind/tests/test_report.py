"""What is special about this kind, and a node that does what was enqueued."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import node_thread
from pacs_core.testing.waiting import until
from pacs_jobs.api import Job, JobQueue, JobState, NewJob

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "jobs", "database", "sop-storage", "store-filesystem", "index-sqlite")


def test_a_node_reports_what_it_has_stored(
    tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    dataset = pacs_dataset("CT")

    async def store() -> int | None:
        async with connect(node.peer, [Proposal(dataset.sop_class_uid)]) as association:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
        return response.status

    def do(**arguments: str) -> Job:
        """Enqueue a job, and return it when it has ended."""
        queue = node.node.opened.node.find(JobQueue)
        number = node.call(queue.enqueue, NewJob(f"{NAME}.report", arguments))

        def find() -> Job:
            found: Job = node.call(queue.find, number)
            return found

        until(lambda: find().ended)
        return find()

    with node_thread(tmp_path, plugins=PLUGINS) as node:
        assert anyio.run(store) == 0x0000
        assert do(day="2026-01-31").state is JobState.SUCCEEDED
        assert json.loads((tmp_path / NAME / "2026-01-31.json").read_text()) == {"CT": 1}
        lost = do(day="../../etc/2026")
        assert (lost.state, lost.attempts) == (JobState.FAILED, 1)  # not tried again
        assert "`day` is no date" in lost.error
