"""Ingests of one UID at the same time, cancelled, or failing, at every point."""

from contextlib import suppress
from itertools import count

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings, strategies as st
from pacs_memory_archive import MemoryIndex, MemoryStore
from pacs_memory_archive.store import MemoryWriter

from pacs_core.archive import DuplicatePolicy, Durability
from pacs_core.contracts import DuplicateInstanceError, IngestOutcome, OutOfResourcesError

KEEP, REPLACE, REJECT = DuplicatePolicy


class StepError(Exception):
    """Something that a store or index may raise."""


class Steps:
    """Counts what store and index do, takes time before and after, and fails when told."""

    def __init__(self, fail_at=None, pauses=()):
        self.done = 0
        self.fail_at = fail_at
        self.pauses = list(pauses)

    async def step(self):
        for _ in range(self.pauses.pop() if self.pauses else 1):
            await checkpoint()
        self.done += 1
        if self.done == self.fail_at:
            raise StepError(f"step {self.done}")


class SteppingWriter(MemoryWriter):
    async def commit(self, variant="", **options):
        await self._store.steps.step()
        stored = await super().commit(variant, **options)
        await checkpoint()
        return stored


class SteppingStore(MemoryStore):
    shared = True

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def writer(self, identity, *, durable=True):
        return SteppingWriter(self, identity)

    async def open(self, key):
        await self.steps.step()
        return await super().open(key)

    async def delete(self, key):
        await checkpoint()
        await super().delete(key)
        await checkpoint()


class SteppingIndex(MemoryIndex):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    async def add(self, record, **options):
        await self.steps.step()
        existing = await super().add(record, **options)
        await self.steps.step()
        return existing

    async def replace(self, record):
        await self.steps.step()
        former = await super().replace(record)
        await self.steps.step()
        return former


@pytest.fixture(scope="module")
def stepping(make_bench):
    def make(steps=None):
        steps = steps or Steps()
        return make_bench(SteppingStore(steps), SteppingIndex(steps))

    return make


async def _cancelled_after(turns, function, *arguments, **options):
    """Call and cancel after so many turns of the event loop; tell whether that was in time."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel():
                for _ in range(turns):
                    await checkpoint()
                scope.cancel()

            group.start_soon(cancel)
            with suppress(DuplicateInstanceError):
                await function(*arguments, **options)
            group.cancel_scope.cancel()
            return False
    return True


@pytest.mark.anyio
@pytest.mark.parametrize("policy", DuplicatePolicy)
@pytest.mark.parametrize("held", [None, b"ab", b"cd", "orphan"])
async def test_cancelled_anywhere_leaves_all_or_nothing(stepping, dataset, policy, held):
    newcomer = dataset(pixels=b"cd" * 80)
    for turns in count():
        bench = stepping()
        archive = bench.archive(policy=policy)
        if held == "orphan":
            await bench.put(newcomer)
        elif held is not None:
            await bench.send(archive, dataset(pixels=held * 80))
        before = await bench.datasets()
        async with bench.listening():
            cancelled = await _cancelled_after(turns, bench.send, archive, newcomer)
        after, rows = await bench.datasets(), await bench.rows()
        assert len(archive._locks) == 0
        assert rows.keys() <= after.keys()
        if after != before:
            assert newcomer in after.values()
        if held is None:
            assert after.keys() == rows.keys()
        if policy is not REPLACE:
            assert before.items() <= after.items()
        if not cancelled:
            break
    assert turns > 3


@pytest.mark.anyio
@pytest.mark.parametrize("policy", [KEEP, REPLACE])
@pytest.mark.parametrize("held", [None, b"ab"])
async def test_failing_anywhere_leaves_no_row_without_object(stepping, dataset, policy, held):
    newcomer = dataset(pixels=b"cd")
    for fail_at in count(1):
        steps = Steps()
        bench = stepping(steps)
        archive = bench.archive(policy=policy)
        if held is not None:
            await bench.send(archive, dataset(pixels=held))
        steps.done, steps.fail_at = 0, fail_at
        failed = False
        try:
            await bench.send(archive, newcomer)
        except StepError:
            failed = True
        steps.fail_at = None
        rows, objects = await bench.rows(), await bench.datasets()
        assert rows.keys() <= objects.keys()
        assert len(archive._locks) == 0
        if failed and held is None:
            assert rows.keys() == objects.keys()
        assert (await bench.send(archive, newcomer)).outcome
        assert newcomer in (await bench.datasets()).values()
        if not failed:
            break
    assert fail_at > 2


@pytest.mark.anyio
async def test_a_store_that_does_not_finish_is_out_of_resources(stepping, dataset, monkeypatch):
    monkeypatch.setattr("pacs_core.archive.ingest.COMMIT_TIMEOUT", 0.01)
    bench = stepping()
    bench.index.add = lambda record, **options: anyio.sleep_forever()
    with pytest.raises(OutOfResourcesError, match="did not finish"):
        await bench.send(bench.archive(), dataset())


@pytest.mark.anyio
async def test_one_process_takes_one_instance_of_a_uid_at_a_time(bench, dataset):
    archive = bench.archive()
    results = []

    async def send(pixels, pauses):
        results.append(await bench.send(archive, dataset(pixels=pixels), pauses=pauses))

    async with anyio.create_task_group() as group:
        for pixels, pauses in ((b"ab", 3), (b"ab", 0), (b"cd", 1), (b"cd", 0)):
            group.start_soon(send, pixels, pauses)
    outcomes = sorted(result.outcome.value for result in results)
    assert outcomes == ["identical", "set-aside", "set-aside", "stored"]
    assert len(await bench.objects()) == 2
    assert len(archive._locks) == 0


SENDERS = st.lists(
    st.tuples(st.sampled_from([b"ab", b"cd", b"abcd"]), st.integers(0, 1), st.integers(0, 4)),
    min_size=2,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(
    policy=st.sampled_from(DuplicatePolicy),
    durability=st.sampled_from(Durability),
    senders=SENDERS,
    pauses=st.lists(st.integers(0, 5), max_size=30),
)
def test_processes_that_race_lose_nothing(stepping, dataset, policy, durability, senders, pauses):
    bench = stepping(Steps(pauses=pauses))
    processes = [bench.archive(policy=policy, durability=durability) for _ in range(2)]
    outcomes = []

    async def send(pixels, process, delay):
        data = dataset(pixels=pixels)
        try:
            result = await bench.send(processes[process], data, pauses=delay)
            outcomes.append((data, result.outcome))
        except DuplicateInstanceError:
            outcomes.append((data, None))

    async def race():
        async with anyio.create_task_group() as group:
            for sender in senders:
                group.start_soon(send, *sender)
        return await bench.datasets(), await bench.rows()

    datasets, rows = anyio.run(race)
    assert len(outcomes) == len(senders)
    (served,) = rows
    contents = [data for data, _ in outcomes]
    assert datasets[served] in contents
    taken = {data for data, outcome in outcomes if outcome is not None}
    if policy is KEEP:
        assert set(datasets.values()) == taken == set(contents)
        assert sum(outcome is IngestOutcome.STORED for _, outcome in outcomes) == 1
        same = {data for data, outcome in outcomes if outcome is IngestOutcome.IDENTICAL}
        assert same <= {datasets[served]}
    else:
        # What an ingest met at its key on its way may stay as an orphan of a shared store.
        assert set(datasets.values()) <= taken
    if policy is REJECT:
        assert taken == {datasets[served]}
