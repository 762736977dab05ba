"""Worker threads: results, errors, limits, and cancellation at any moment."""

import asyncio
import threading

import anyio
import pytest

from pacs_core.concurrency import Threads
from pacs_core.contracts import Correlation, correlated, current_correlation

pytestmark = pytest.mark.anyio


@pytest.fixture
def threads(request):
    threads = Threads(4, request.node.name)
    yield threads
    threads.close()


def _running(threads):
    return [thread for thread in threading.enumerate() if thread.name == threads.name]


async def test_results_and_errors_come_back(threads):
    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(next, iter(()))
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_no_more_threads_than_allowed_and_none_before_they_are_needed(threads):
    assert not _running(threads)
    await threads.run(len, "")
    assert len(_running(threads)) == 1
    release = threading.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(threads.run, release.wait)
        await anyio.wait_all_tasks_blocked()
        assert len(_running(threads)) == 4
        release.set()


async def test_closed_threads_end_after_their_work_and_begin_again(threads):
    assert await threads.run(len, "a") == 1
    former = _running(threads)
    threads.close()
    for thread in former:
        await anyio.to_thread.run_sync(thread.join, 5)
        assert not thread.is_alive()
    assert await threads.run(len, "ab") == 2


async def test_nothing_begins_for_who_is_cancelled_already(threads):
    begun = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await threads.run(begun.append, 1)
    assert not begun
    assert scope.cancelled_caught


async def test_what_has_begun_is_waited_for_and_its_result_not_lost(threads):
    """A file that was opened must reach who closes it, though that one is cancelled meanwhile."""
    release, results = threading.Event(), []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def run():
                results.append(await threads.run(release.wait, 5))
                await anyio.sleep_forever()

            tasks.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            for _ in range(10):
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
            assert not results
            release.set()
    assert results == [True]


async def test_a_task_that_asyncio_cancels_waits_too_and_stays_cancelled(threads):
    release, done = threading.Event(), []

    def work():
        release.wait(5)
        done.append(True)

    task = asyncio.create_task(threads.run(work))
    await anyio.sleep(0.01)
    task.cancel()
    await anyio.sleep(0.01)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done


@pytest.mark.parametrize("turns", range(8))
async def test_cancelled_around_the_moment_of_the_result(threads, turns):
    """Whatever comes first, the result or the cancellation: no deadlock, and no lost result."""
    results = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def run():
                results.append(await threads.run(len, "abc"))

            tasks.start_soon(run)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert results in ([], [3])
    assert turns == 0 or results == [3]


async def test_what_runs_in_a_thread_belongs_to_what_its_caller_belongs_to(threads):
    with correlated(Correlation("r-1")):
        assert (await threads.run(current_correlation)).id == "r-1"
    assert (await threads.run(current_correlation)).id == ""
