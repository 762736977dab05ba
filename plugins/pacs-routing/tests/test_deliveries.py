"""Deliveries in a database: once each, in order, with a job while something waits, forgotten."""

import time
from pathlib import Path

import anyio
import pytest
from pacs_database.api import Database
from pacs_database.testing import open_database
from pacs_jobs.api import JobFilter, JobState
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_routing.api import Delivery, DeliveryFilter, DeliveryState, Outcome, Wanted
from pacs_routing.database_deliveries import DatabaseDeliveries
from pacs_routing.tables import DELIVERIES
from sqlalchemy import update

from pacs_core.contracts import InstanceIdentity, StoredInstance

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"


def instance(number: int, study: str = "1.2", content: bytes = b"a") -> StoredInstance:
    identity = InstanceIdentity(study, f"{study}.1", f"{study}.1.{number}", CT)
    return StoredInstance(identity, "1.2.840.10008.1.2.1", f"k{number}", 100, 10, content * 4)


async def start(database: Database) -> DatabaseDeliveries:
    queue = DatabaseJobQueue(database)
    await queue.start()
    deliveries = DatabaseDeliveries(database, queue)
    await deliveries.start()
    return deliveries


@pytest.fixture
async def deliveries(database: Database) -> DatabaseDeliveries:
    return await start(database)


async def waiting_jobs(deliveries: DatabaseDeliveries) -> list[int]:
    wanted = JobFilter(states=(JobState.WAITING, JobState.RUNNING))
    return [job.number async for job in deliveries._queue.jobs(wanted)]


def uids(found: list[Delivery]) -> list[str]:
    return [each.instance_uid.rsplit(".", 1)[1] for each in found]


async def test_the_same_is_wanted_once_whoever_wants_it_at_once(
    tmp_path: Path, database_url: str, deliveries: DatabaseDeliveries
) -> None:
    """By two nodes, in one transaction each: one row, one job for a lane; other content is more."""
    added: list[int] = []
    async with open_database(tmp_path, database_url) as second:
        other = await start(second)

        async def add(by: DatabaseDeliveries, rule: str) -> None:
            added.append(await by.add([Wanted(instance(n), "ai", rule) for n in range(5)]))

        async with anyio.create_task_group() as tasks:
            for number, by in enumerate((deliveries, other) * 2):
                tasks.start_soon(add, by, f"rule-{number}")
    assert sum(added) == 5
    assert len(await waiting_jobs(deliveries)) == 1
    await deliveries.add([Wanted(instance(0, content=b"b"), "ai"), Wanted(instance(0), "backup")])
    await deliveries.add([Wanted(instance(0), "ai", deidentify="basic")])
    assert len(await deliveries.due("ai", 0, 100)) == 7
    assert len(await waiting_jobs(deliveries)) == 2  # one for each peer


async def test_what_goes_first_and_what_waits_for_what(deliveries: DatabaseDeliveries) -> None:
    await deliveries.add([Wanted(instance(n), "ai", is_ordered=True) for n in range(3)])
    await deliveries.add([Wanted(instance(7, "1.3"), "ai", "night")])
    await deliveries.add([Wanted(instance(9, "1.4"), "ai", priority=5)])
    found = await deliveries.due("ai", 0, 100)
    assert uids(found) == ["9", "0", "1", "2", "7"]
    assert uids(await deliveries.due("ai", 0, 100, {"night"})) == ["9", "0", "1", "2"]
    # The first of a study that is ordered is refused for now: the others of it wait, no more.
    later = Outcome(found[1].number, DeliveryState.WAITING, 1, time.time() + 100.0, 0xC000, "no")
    await deliveries.note([later])
    assert uids(await deliveries.due("ai", 0, 100)) == ["9", "7"]
    gone = [Outcome(each.number, DeliveryState.SENT) for each in (found[0], found[4])]
    await deliveries.note(gone)
    (job,) = await waiting_jobs(deliveries)
    # Nothing can be sent now: the next job is due when the first one may be tried again.
    assert await deliveries.pass_on("ai", 0, job)
    _, successor = sorted(await waiting_jobs(deliveries))
    due = (await deliveries._queue.find(successor)).due.timestamp()
    assert due == pytest.approx(later.due, abs=1.0)
    # An instance for a time that has not come is waited for until then.
    opens = time.time() + 50.0
    await deliveries.add([Wanted(instance(8, "1.3"), "ai", "night", not_before=opens)])
    assert await last_job_due(deliveries) == pytest.approx(opens, abs=1.0)
    tonight = max(await waiting_jobs(deliveries))
    assert await deliveries.pass_on("ai", 0, tonight, closed={"night": opens})
    assert await last_job_due(deliveries) == pytest.approx(opens, abs=1.0)
    # What may be sent at once does not wait for that; and nobody is left to begin for nothing.
    tonight = max(await waiting_jobs(deliveries))
    await deliveries.add([Wanted(instance(6, "1.5"), "ai")])
    assert await last_job_due(deliveries) < opens - 10.0
    assert tonight not in await waiting_jobs(deliveries)
    assert uids(await deliveries.due("ai", 0, 100, {"night"})) == ["6"]


async def last_job_due(deliveries: DatabaseDeliveries) -> float:
    number = max(await waiting_jobs(deliveries))
    return (await deliveries._queue.find(number)).due.timestamp()


async def test_a_lane_has_a_job_while_something_waits(deliveries: DatabaseDeliveries) -> None:
    """Also after its job was cancelled or purged by hand; and none when nothing waits."""
    await deliveries.add([Wanted(instance(1), "ai")])
    (job,) = await waiting_jobs(deliveries)
    assert await deliveries.wake() == 0
    await deliveries._queue.cancel(job)
    assert await deliveries.wake() == 1
    (job,) = await waiting_jobs(deliveries)
    await deliveries._queue.cancel(job)
    await deliveries._queue.purge(JobFilter())
    await deliveries.add([Wanted(instance(2), "ai")])
    (job,) = await waiting_jobs(deliveries)
    found = await deliveries.due("ai", 0, 10)
    await deliveries.note([Outcome(each.number, DeliveryState.SENT) for each in found])
    assert not await deliveries.pass_on("ai", 0, job)
    await deliveries._queue.cancel(job)  # as if it had ended
    await deliveries.add([Wanted(instance(3), "ai")])
    assert len(await waiting_jobs(deliveries)) == 1


async def test_what_is_given_up_retried_sent_again_and_forgotten(
    deliveries: DatabaseDeliveries,
) -> None:
    await deliveries.add([Wanted(instance(n), "ai", "all") for n in range(4)])
    old = update(DELIVERIES).where(DELIVERIES.c.instance_uid != "1.2.1.3")
    async with deliveries._database.begin() as connection:
        await connection.execute(old.values(created=time.time() - 8 * 86400.0))
    (total,) = await deliveries.expire(7.0)
    assert (total.rule, total.peer, total.count) == ("all", "ai", 3)
    failed = DeliveryFilter(states=(DeliveryState.FAILED,))
    found = [each async for each in deliveries.search(failed, 10)]
    assert {each.reason for each in found} == {"it was not sent for 7 days"}
    assert await deliveries.retry(DeliveryFilter(instance_uid="1.2.1.0")) == 1
    assert await deliveries.expire(7.0) == []  # it has as many days again
    assert uids(await deliveries.due("ai", 0, 10)) == ["0", "3"]
    numbers = [each.number for each in await deliveries.due("ai", 0, 10)]
    await deliveries.note([Outcome(each, DeliveryState.SENT) for each in numbers])
    assert await deliveries.add([Wanted(instance(3), "ai")]) == 0  # it went already
    assert await deliveries.add([Wanted(instance(3), "ai")], again=True) == 1
    assert uids(await deliveries.due("ai", 0, 10)) == ["3"]
    async with deliveries._database.begin() as connection:
        await connection.execute(update(DELIVERIES).values(changed=0.0))
    assert await deliveries.forget(30.0) == 3  # not what waits
    assert [(each.state, each.count) for each in await deliveries.totals()] == [
        (DeliveryState.WAITING, 1)
    ]


async def test_a_clock_that_was_set_back_keeps_nothing_waiting(
    deliveries: DatabaseDeliveries,
) -> None:
    """What was put off by minutes while it was a day ahead is tried in minutes, not in a day."""
    await deliveries.add([Wanted(instance(number), "ai") for number in range(2)])
    first, second = await deliveries.due("ai", 0, 100)
    now = time.time()
    waits, later = DeliveryState.WAITING, now + 3600
    await deliveries.note(
        [
            Outcome(first.number, waits, 1, now + 86_400 + 300),
            Outcome(second.number, waits, 1, later),
        ]
    )
    async with deliveries._database.begin() as connection:
        ahead = update(DELIVERIES).where(DELIVERIES.c.number == first.number)
        await connection.execute(ahead.values(changed=now + 86_400))
    (job,) = await waiting_jobs(deliveries)
    assert await deliveries.pass_on("ai", 0, job)
    corrected, right = await deliveries.find([first.number, second.number])
    assert corrected.due == pytest.approx(now + 300, abs=60)
    assert right.due == later
    *_, following = sorted(await waiting_jobs(deliveries))
    due = (await deliveries._queue.find(following)).due.timestamp()
    assert due == pytest.approx(now + 300, abs=60)
