# ruff: noqa: D102, S101 - the names of the tests are their documentation
"""The contract suite of job queues."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from pacs_core.contracts import NO_CORRELATION, Correlation, correlated
from pacs_jobs.jobs import JobState, NewJob, Progress
from pacs_jobs.queue import JobFilter, JobQueue, LeasedJob, LeaseLostError

LEASE = 60.0


class JobQueueContract:
    """What every queue must do; inherit it, and override the fixture `queue`.

    Override `other` with a queue of another process or node on the same jobs, if there can be one.
    """

    @pytest.fixture
    async def queue(self) -> JobQueue:
        """Return an empty queue that has been started."""
        raise NotImplementedError

    @pytest.fixture
    async def other(self, queue: JobQueue) -> JobQueue:
        """Return a queue with the same jobs."""
        return queue

    async def lease(self, queue: JobQueue, *kinds: str, seconds: float = LEASE) -> LeasedJob | None:
        """Lease a job of the kinds that these tests use."""
        return await queue.lease(kinds or ("a", "b"), "worker", seconds)

    async def test_a_job_is_found_as_it_was_enqueued(
        self, queue: JobQueue, other: JobQueue
    ) -> None:
        due = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        arguments = {"uid": "1.2.3", "n": 5, "nested": {"x": [None, True, "ä\x00\n"]}}
        number = await queue.enqueue(NewJob("a", arguments, 7, due, "study 1", "once"))
        job = await other.find(number)
        assert (job.kind, job.arguments, job.priority, job.due) == ("a", arguments, 7, due)
        assert (job.key, job.idempotency_key) == ("study 1", "once")
        assert (job.state, job.attempts, job.ended) == (JobState.WAITING, 0, None)

    async def test_a_job_belongs_to_what_it_was_enqueued_within(
        self, queue: JobQueue, other: JobQueue
    ) -> None:
        cause = Correlation("r-1", f"00-{'ab' * 16}-{'cd' * 8}-01")
        with correlated(cause):
            number = await queue.enqueue(NewJob("a"))
        alone = await queue.enqueue(NewJob("a"))
        assert (await other.find(number)).correlation == cause
        assert (await other.find(alone)).correlation == NO_CORRELATION
        leased = await self.lease(other)
        assert leased is not None
        assert leased.job.correlation == cause

    @pytest.mark.parametrize("arguments", [{"x": float("nan")}, {"x": b""}, {"x": "y" * 70_000}])
    async def test_arguments_that_are_no_json_are_refused(
        self, queue: JobQueue, arguments: dict[str, object]
    ) -> None:
        with pytest.raises(ValueError, match="arguments of a a job"):
            await queue.enqueue(NewJob("a", arguments))

    async def test_an_idempotency_key_enqueues_once(self, queue: JobQueue, other: JobQueue) -> None:
        first = await queue.enqueue(NewJob("a", {"n": 1}, idempotency_key="k"))
        again = await other.enqueue(NewJob("a", {"n": 2}, idempotency_key="k"))
        assert again == first
        assert [job.arguments async for job in queue.jobs()] == [{"n": 1}]
        leased = await self.lease(queue)
        assert leased is not None
        await queue.complete(leased)
        assert await queue.enqueue(NewJob("a", idempotency_key="k")) == first

    async def test_jobs_without_keys_are_all_enqueued(self, queue: JobQueue) -> None:
        numbers = {await queue.enqueue(NewJob("a")) for _ in range(3)}
        assert len(numbers) == 3

    async def test_order_is_priority_then_due_then_number(self, queue: JobQueue) -> None:
        past = datetime.now(UTC) - timedelta(hours=1)
        wanted = {
            "third": NewJob("a", {"name": "third"}, due=past),
            "first": NewJob("b", {"name": "first"}, priority=5),
            "second": NewJob("a", {"name": "second"}, due=past - timedelta(hours=1)),
            "fourth": NewJob("b", {"name": "fourth"}, due=past),
            "never": NewJob("c", {"name": "never"}, priority=9),
        }
        for job in wanted.values():
            await queue.enqueue(job)
        order = []
        while leased := await self.lease(queue):
            order.append(leased.job.arguments["name"])
        assert order == ["first", "second", "third", "fourth"]

    async def test_a_job_is_not_leased_before_it_is_due(self, queue: JobQueue) -> None:
        later = datetime.now(UTC) + timedelta(hours=1.0)
        await queue.enqueue(NewJob("a", due=later))
        assert await self.lease(queue) is None
        due = datetime.now(UTC) + timedelta(seconds=1.0)
        await queue.enqueue(NewJob("a", due=due))
        said = await queue.next_due(["a"])
        assert said is not None
        assert abs((said - due).total_seconds()) < 0.001
        assert await queue.next_due(["b"]) is None
        await anyio.sleep(1.1)
        assert await self.lease(queue) is not None
        assert datetime.now(UTC) >= due

    async def test_a_job_is_leased_once(self, queue: JobQueue, other: JobQueue) -> None:
        for n in range(20):
            await queue.enqueue(NewJob("a", {"n": n}))
        taken: list[int] = []

        async def take(queue: JobQueue) -> None:
            while leased := await self.lease(queue):
                taken.append(leased.job.arguments["n"])

        async with anyio.create_task_group() as tasks:
            for each in (queue, other, queue, other):
                tasks.start_soon(take, each)
        assert sorted(taken) == list(range(20))

    async def test_one_job_of_a_key_runs_at_a_time(self, queue: JobQueue, other: JobQueue) -> None:
        for kind in ("a", "b", "a"):
            await queue.enqueue(NewJob(kind, key="study 1"))
        await queue.enqueue(NewJob("a", key="study 2"))
        running: set[str] = set()
        done = 0

        async def work(queue: JobQueue) -> None:
            nonlocal done
            while done < 4:
                leased = await self.lease(queue)
                if leased is None:
                    await anyio.sleep(0.01)
                    continue
                assert leased.job.key not in running
                running.add(leased.job.key)
                await anyio.sleep(0.05)
                running.discard(leased.job.key)
                await queue.complete(leased)
                done += 1

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for each in (queue, other, queue, other):
                    tasks.start_soon(work, each)

    async def test_a_job_of_a_lost_worker_is_begun_again(
        self, queue: JobQueue, other: JobQueue
    ) -> None:
        await queue.enqueue(NewJob("a", key="k"))
        lost = await self.lease(queue, seconds=1.5)
        assert lost is not None
        assert await self.lease(other) is None
        await anyio.sleep(1.6)
        again = await self.lease(other)
        assert again is not None
        assert (again.job.number, again.job.attempts) == (lost.job.number, 2)
        for word in (
            queue.heartbeat(lost, LEASE),
            queue.complete(lost),
            queue.fail(lost, "x", None),
            queue.release(lost),
        ):
            with pytest.raises(LeaseLostError):
                await word
        await other.complete(again)
        assert (await queue.find(lost.job.number)).state is JobState.SUCCEEDED

    async def test_a_heartbeat_holds_a_job_and_says_how_far_it_is(self, queue: JobQueue) -> None:
        number = await queue.enqueue(NewJob("a"))
        leased = await self.lease(queue, seconds=1.5)
        assert leased is not None
        assert not await queue.heartbeat(leased, LEASE, Progress(3, 10, "images"))
        await anyio.sleep(1.6)
        assert await self.lease(queue) is None
        job = await queue.find(number)
        assert (job.state, job.progress) == (JobState.RUNNING, Progress(3, 10, "images"))
        assert job.worker == "worker"

    async def test_what_failed_waits_until_it_is_tried_again(self, queue: JobQueue) -> None:
        number = await queue.enqueue(NewJob("a"))
        leased = await self.lease(queue)
        assert leased is not None
        soon = datetime.now(UTC) + timedelta(seconds=0.5)
        await queue.fail(leased, "the peer is away", soon)
        job = await queue.find(number)
        assert (job.state, job.error, job.attempts) == (JobState.WAITING, "the peer is away", 1)
        assert await self.lease(queue) is None
        await anyio.sleep(0.6)
        again = await self.lease(queue)
        assert again is not None
        await queue.fail(again, "for good", None)
        job = await queue.find(number)
        assert (job.state, job.error, job.attempts) == (JobState.FAILED, "for good", 2)
        assert job.ended is not None
        assert await self.lease(queue) is None

    async def test_a_job_that_is_given_back_was_not_attempted(self, queue: JobQueue) -> None:
        number = await queue.enqueue(NewJob("a"))
        leased = await self.lease(queue)
        assert leased is not None
        await queue.release(leased)
        job = await queue.find(number)
        assert (job.state, job.attempts) == (JobState.WAITING, 0)
        assert await self.lease(queue) is not None

    async def test_a_waiting_job_is_cancelled_at_once(self, queue: JobQueue) -> None:
        number = await queue.enqueue(NewJob("a"))
        assert (await queue.cancel(number)).state is JobState.CANCELLED
        assert await self.lease(queue) is None
        with pytest.raises(ValueError, match=f"job {number} has ended already: cancelled"):
            await queue.cancel(number)

    async def test_the_worker_of_a_running_job_is_asked(
        self, queue: JobQueue, other: JobQueue
    ) -> None:
        number = await queue.enqueue(NewJob("a"))
        leased = await self.lease(queue)
        assert leased is not None
        assert (await other.cancel(number)).state is JobState.RUNNING
        assert await queue.heartbeat(leased, LEASE)
        await queue.release(leased)
        assert (await other.find(number)).state is JobState.CANCELLED

    async def test_a_job_to_be_cancelled_is_not_tried_again(self, queue: JobQueue) -> None:
        failing, lost = await queue.enqueue(NewJob("a")), await queue.enqueue(NewJob("a"))
        first, second = await self.lease(queue), await self.lease(queue, seconds=0.1)
        assert first is not None
        assert second is not None
        for number in (failing, lost):
            await queue.cancel(number)
        await queue.fail(first, "x", datetime.now(UTC))
        await anyio.sleep(0.2)
        assert await self.lease(queue) is None
        states = [(await queue.find(number)).state for number in (failing, lost)]
        assert states == [JobState.CANCELLED, JobState.CANCELLED]

    async def test_what_was_given_up_waits_again_by_hand(self, queue: JobQueue) -> None:
        number = await queue.enqueue(NewJob("a"))
        with pytest.raises(
            ValueError, match=f"job {number} is waiting: only one that was given up"
        ):
            await queue.retry(number)
        leased = await self.lease(queue)
        assert leased is not None
        await queue.fail(leased, "x", None)
        job = await queue.retry(number)
        assert (job.state, job.attempts, job.ended) == (JobState.WAITING, 0, None)
        again = await self.lease(queue)
        assert again is not None
        await queue.complete(again)

    async def test_an_unknown_job_is_an_error(self, queue: JobQueue) -> None:
        for word in (queue.find(999), queue.cancel(999), queue.retry(999)):
            with pytest.raises(KeyError, match="there is no job 999"):
                await word

    async def test_jobs_are_listed_latest_first_and_filtered(self, queue: JobQueue) -> None:
        for n in range(4):
            await queue.enqueue(NewJob("ab"[n % 2], {"n": n}, key=f"k{n // 2}"))
        await queue.cancel((await anext(aiter(queue.jobs(JobFilter(["a"]))))).number)

        async def numbers(**wanted: object) -> list[int]:
            jobs = queue.jobs(JobFilter(**wanted))  # type: ignore[arg-type]
            return [job.arguments["n"] async for job in jobs]

        assert await numbers() == [3, 2, 1, 0]
        assert await numbers(kinds=["b"]) == [3, 1]
        assert await numbers(states=[JobState.CANCELLED]) == [2]
        assert await numbers(key="k0", kinds=["a", "b"]) == [1, 0]

    async def test_jobs_of_a_key_that_is_running_hold_up_no_others(self, queue: JobQueue) -> None:
        for n in range(50):
            await queue.enqueue(NewJob("a", {"n": n}, key="down", priority=1))
        for n, key in enumerate(["up", "", "up", "other"]):
            await queue.enqueue(NewJob("a", {"n": n}, key=key, priority=-1 if n == 1 else 0))
        keys = []
        while (leased := await queue.lease(["a"], "worker", 60.0)) is not None:
            keys.append(leased.job.key)
        assert keys == ["down", "up", "other", ""]

    async def test_only_what_has_ended_is_purged(self, queue: JobQueue) -> None:
        waiting, running, cancelled = [await queue.enqueue(NewJob("a", {}, -n)) for n in range(3)]
        await queue.cancel(cancelled)
        assert (await self.lease(queue, "a")) is not None
        before = datetime.now(UTC) - timedelta(days=1)
        assert await queue.purge(JobFilter(ended_before=before)) == 0
        assert await queue.purge(JobFilter()) == 1
        assert {job.number async for job in queue.jobs()} == {waiting, running}

    async def test_waiting_ends_when_this_process_enqueues(self, queue: JobQueue) -> None:
        with anyio.fail_after(30):
            await queue.wait(0.2)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(queue.enqueue, NewJob("a"))
                await queue.wait(60.0)
