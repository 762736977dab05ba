"""Requests, results and circuit breakers in a database: once each, and one of several tries."""

import time

import anyio
import pytest
from pacs_ai.api import InferenceInput, RequestFilter, RequestState
from pacs_ai.breakers import Breakers
from pacs_ai.forgetting import Forgetter
from pacs_ai.models import Assessment, InferenceRequest, ResultFinding
from pacs_ai.records import Records
from pacs_database.api import Database
from pacs_jobs.api import JobFilter
from pacs_jobs.database_queue import DatabaseJobQueue

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.memory_archive import MemoryArchive

pytestmark = pytest.mark.anyio

INPUTS = [InferenceInput("1.2", "1.2.3", "ab")]


@pytest.fixture
async def queue(database: Database) -> DatabaseJobQueue:
    queue = DatabaseJobQueue(database)
    await queue.start()
    return queue


@pytest.fixture
async def records(database: Database, queue: DatabaseJobQueue) -> Records:
    records = Records(database, queue)
    await records.start()
    return records


async def add(records: Records, version: str = "1", again: bool = False) -> InferenceRequest:
    return (await records.add("s", version, "1.9", INPUTS, lanes=2, again=again))[0]


async def test_a_version_is_asked_once_about_the_same_and_lanes_bound_what_it_works_on(
    records: Records, queue: DatabaseJobQueue
) -> None:
    numbers: list[int] = []

    async def ask() -> None:
        numbers.append((await add(records)).number)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(ask)
    assert len(set(numbers)) == 1
    others = [await add(records, "2"), await add(records, again=True), await add(records, "3")]
    assert len({each.number for each in others} - set(numbers)) == 3
    jobs = [job async for job in queue.jobs(JobFilter(kinds=("ai.ask",)))]
    assert len(jobs) == 4
    assert {job.key for job in jobs} == {"ai/s/0", "ai/s/1"}


async def test_results_are_written_once_and_kept_as_long_as_they_are_archived(
    records: Records,
) -> None:
    request = await add(records)
    values = {
        **dict.fromkeys(("service", "version"), "s"),
        "study_uid": "1.9",
        "series_uid": "1.9.1",
        "instance_uid": "1.9.2",
        "sop_class_uid": "1.2",
        "digest": "d",
        "state": "archived",
        "is_hidden": 1,
        "request": request.number,
        "reasons": ["size: much"],
        "fixes": [],
    }
    first, second = await records.add_result(**values), await records.add_result(**values)
    assert first.number == second.number
    for thought in (Assessment.REJECTED, Assessment.ACCEPTED):  # of a finding; the last counts
        finding = ResultFinding("1.9.3", 0, "lesion", assessment=thought, assessed_by="anna")
        await records.assess_finding(first, finding)
    (kept,) = (await records.assessed_findings(first.number)).values()
    assert (kept["assessment"], kept["assessed_by"]) == (Assessment.ACCEPTED, "anna")
    assert first.reasons == ("size: much",)
    assert await records.hidden_uids((), 5) == ("1.9.2",)
    assert await records.hidden_uids(("s",), 5) == ()
    assert await records.result_uids("1.9") == {"1.9.2"}
    await records.change(request.number, token="secret", state="answered", answered=time.time())
    found = await records.find_by_token("secret")
    assert found is not None
    assert not await records.change(request.number, state="failed")  # it has ended
    archive = MemoryArchive()
    other = await records.add_result(**{**values, "instance_uid": "1.9.4", "digest": "e"})
    image = SampleStudy("1.9").make(SOPInstanceUID="1.9.2")
    archive.put(image.encode(), EXPLICIT_VR_LITTLE_ENDIAN)
    forgetter = Forgetter(records, archive)
    assert await forgetter.forget(1) == 0
    assert await forgetter.forget(0) == 1  # what the archive has no more
    with pytest.raises(KeyError):
        await records.find_result(other.number)
    assert await forgetter.forget(0) == 0
    await records.change_result(first.number, {first.state}, state="discarded")
    assert await forgetter.forget(0) == 2  # the result, and its request
    assert await records.assessed_findings(first.number) == {}
    wanted = RequestFilter(states=(str(RequestState.ANSWERED),))
    assert [each async for each in records.requests(wanted, 5)] == []


async def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try(
    database: Database, records: Records
) -> None:
    breakers = Breakers(database)
    assert [await breakers.note_failure("s", "why", 2, 0.0) for _ in range(3)] == [
        False, True, False,
    ]  # fmt: skip
    turns: list[float] = []

    async def come() -> None:
        turns.append((await breakers.open_until("s", 60.0))[0])

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(come)
    assert turns.count(0.0) == 1
    assert (await breakers.open_until("other", 60.0))[0] == 0.0
    await breakers.note_success("s")
    assert await breakers.opened() == {}


async def test_a_work_item_is_held_once_with_its_requests_until_it_is_left(
    records: Records,
) -> None:
    await records.hold_step("2.25.1", "2.25.10")
    await records.hold_step("2.25.1", "2.25.11")  # found again: the first Transaction UID counts
    await records.hold_step("2.25.2", "2.25.12")
    await records.note_requests("2.25.1", [3, 4])
    held = {each.step_uid: each for each in await records.held_steps()}
    assert (held["2.25.1"].transaction_uid, list(held["2.25.1"].requests)) == ("2.25.10", [3, 4])
    assert list(held["2.25.2"].requests) == []
    await records.leave_step("2.25.1")
    assert [each.step_uid for each in await records.held_steps()] == ["2.25.2"]
