"""Who may say that a study is complete before it was quiet: several, of whom one is enough."""

import anyio
import pytest
from pacs_memory_archive import MemoryIndex

from pacs_core.archive import ChangeFeed, StudyWatch
from pacs_core.contracts import ChangeKind, StudyCompleteness
from pacs_core.testing.index_harness import make_record

pytestmark = pytest.mark.anyio


class Knows(StudyCompleteness):
    """Calls some studies complete, and fails with others."""

    def __init__(self, *complete, fails=()):
        self.complete, self.fails = complete, fails

    async def is_complete(self, study_instance_uid):
        if study_instance_uid in self.fails:
            raise ConnectionError("its database is away")
        return study_instance_uid in self.complete


async def test_one_who_knows_is_enough_whatever_the_others_say_or_fail_with():
    index = MemoryIndex()
    log = index.change_log
    knowing = [
        Knows("1.2.3.1", fails=("1.2.3.2", "1.2.3.3")),
        Knows("1.2.3.1", "1.2.3.2"),
    ]
    watch = StudyWatch(ChangeFeed(log), 3600.0, knowing)
    await watch.start()
    await log.follow("test")
    for study in "123":
        await index.add(make_record(f"{study}.1.1"))

    async def complete():
        changes = await log.changes(0, 100)
        return [c.study_instance_uid for c in changes if c.kind is ChangeKind.STUDY_COMPLETE]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run, lambda: None)
        with anyio.fail_after(60):
            while len(await complete()) < 2:  # noqa: ASYNC110 it happens in another task
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert sorted(await complete()) == ["1.2.3.1", "1.2.3.2"]
