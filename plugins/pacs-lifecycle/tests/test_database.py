"""The tables of lifecycle, on SQLite and on PostgreSQL: what two do at once is done once."""

import time

import anyio
import pytest
from attrs import evolve
from pacs_database.api import Database
from pacs_lifecycle.config import BinConfig
from pacs_lifecycle.database_bin import DatabaseBin, who_deletes
from pacs_lifecycle.database_findings import DatabaseFindings
from pacs_lifecycle.database_quotas import DatabaseQuotas
from pacs_lifecycle.database_studies import DatabaseStudies
from pacs_lifecycle.interface import BinState, Finding, Hold, Pass, StudyFacts, Usage
from pacs_lifecycle.origins import rule_origin

from pacs_core.contracts import (
    DeletedInstance,
    InstanceIdentity,
    NodeSettings,
    Origin,
    Principal,
    StoredInstance,
)
from pacs_core.testing.operations import memory_node

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"


def deleted(number, study="1.2", age=0.0, aside=()):
    identity = InstanceIdentity(study, f"{study}.1", f"{study}.1.{number}", CT)
    origin = Origin("DIMSE", "CT1", "PACS", principal=Principal("ada"))
    instance = StoredInstance(
        identity, "1.2.840.10008.1.2.1", f"{study}/{number}", 100, 10, b"d" * 16, (1, 2), origin
    )
    who = Origin("delete", principal=Principal("bob"))
    return DeletedInstance(instance, aside, time.time() - age, who)


@pytest.fixture
async def waiting_bin(database: Database):
    node = memory_node()
    node.capabilities.provide(Database, database)
    found = DatabaseBin(node, BinConfig(deletions=("rules", "web")))
    await found.start()
    return found


async def test_what_is_put_in_is_had_back_as_it_was(waiting_bin):
    one, two = deleted(1, aside=("1.2/1-a",)), deleted(2)
    for each in (one, two, one):
        await waiting_bin.put(each)
    asked = ["1.2/1", "1.2/1-a", "1.2/2", "1.2/3"]
    assert set(await waiting_bin.waiting(asked)) == {"1.2/1", "1.2/1-a", "1.2/2"}
    claimed = await waiting_bin.claim(BinState.RESTORING, study="1.2")
    assert [each.instance for each in claimed] == [one.instance, two.instance]
    assert claimed[0].instance.origin == one.instance.origin
    assert [each.aside for each in claimed] == [("1.2/1-a",), ()]
    (listed,) = [each async for each in waiting_bin.studies()]
    assert (listed.study, listed.instances, listed.size, listed.deleted_by) == (
        "1.2",
        2,
        200,
        "bob",
    )
    assert await waiting_bin.total() == Usage(1, 2, 200)
    await waiting_bin.take_out(["1.2/1"])
    assert set(await waiting_bin.waiting(asked)) == {"1.2/2"}
    await waiting_bin.take_out(["1.2/2", "1.2/2"])
    assert await waiting_bin.total() == Usage()


async def test_what_is_restored_is_not_removed_meanwhile_and_the_other_way_round(waiting_bin):
    for number in range(3):
        await waiting_bin.put(deleted(number, age=1000.0 * (3 - number)))
    (oldest,) = await waiting_bin.claim(BinState.PURGING, limit=1)
    assert oldest.instance.key == "1.2/0"
    restoring = await waiting_bin.claim(BinState.RESTORING)
    assert [each.instance.key for each in restoring] == ["1.2/1", "1.2/2"]
    # Each may go on with its own after a kill, and take nothing of the other.
    again = await waiting_bin.claim(BinState.PURGING)
    assert [each.instance.key for each in again] == ["1.2/0"]
    await waiting_bin.unclaim(["1.2/1"])
    again = await waiting_bin.claim(BinState.PURGING, before=time.time() - 2500.0)
    assert [each.instance.key for each in again] == ["1.2/0"]
    again = await waiting_bin.claim(BinState.PURGING)
    assert [each.instance.key for each in again] == ["1.2/0", "1.2/1"]


async def test_of_two_that_claim_at_once_each_object_has_one_state(waiting_bin):
    for number in range(20):
        await waiting_bin.put(deleted(number))
    claimed = {}

    async def claim(state):
        some = await waiting_bin.claim(state, limit=15)
        claimed[state] = {each.instance.key for each in some}

    async with anyio.create_task_group() as group:
        for state in (BinState.PURGING, BinState.RESTORING):
            group.start_soon(claim, state)
    assert not claimed[BinState.PURGING] & claimed[BinState.RESTORING]
    assert len(claimed[BinState.PURGING] | claimed[BinState.RESTORING]) in (15, 20)


async def test_who_deletes_is_told_by_the_door(waiting_bin):
    doors = {
        "rules": rule_origin(NodeSettings(), "old"),
        "web": Origin("HTTP"),
        "commands": Origin("delete"),
        "plugins": Origin("jobs"),
    }
    assert {name: who_deletes(origin) for name, origin in doors.items()} == {n: n for n in doors}
    taken = {name for name, origin in doors.items() if waiting_bin.takes(origin)}
    assert taken == {"rules", "web"}
    waiting_bin.config = evolve(waiting_bin.config, keep=0)
    assert not any(waiting_bin.takes(origin) for origin in doors.values())


async def test_studies_come_in_the_order_of_their_arrival(database: Database):
    studies = DatabaseStudies(database)
    await studies.start()
    await studies.note_arrivals({f"1.{number}": float(number) for number in range(1200)})
    await studies.note_complete(["1.7"], complete=True)
    await studies.forget(["1.3"])
    batches = [batch async for batch in studies.by_arrival(1100.0)]
    found = [each for batch in batches for each in batch]
    assert [each.arrived for each in found] == [float(n) for n in range(1100) if n != 3]
    assert max(map(len, batches)) <= 500
    assert StudyFacts("1.7", 7.0, complete=True) in found
    await studies.note_arrivals({"1.7": 2000.0})
    batches = [batch async for batch in studies.by_arrival(1100.0)]
    assert "1.7" not in [each.uid for batch in batches for each in batch]
    uids = [uid async for uid in studies.by_uid("")]
    assert (uids, len(uids)) == (sorted(uids), 1199)
    assert [uid async for uid in studies.by_uid(uids[1000])] == uids[1001:]
    hold = Hold("1.9", "case 4711", "ada", 1.0)
    await studies.hold(evolve(hold, reason="another"))
    await studies.hold(hold)
    assert await studies.holds(["1.9", "1.8"]) == await studies.holds() == [hold]
    assert (await studies.release("1.9"), await studies.release("1.9")) == (True, False)


async def test_sums_of_a_quota_are_those_of_its_studies(database: Database):
    """However often a study is counted, and by two at once."""
    quotas, studies = DatabaseQuotas(database), DatabaseStudies(database)
    await quotas.start()
    await studies.note_arrivals({"1.1": 2.0, "1.2": 1.0})
    assert await quotas.define("clinic", "CT")
    assert not await quotas.define("clinic", "CT")

    async def count(study, instances):
        await quotas.note("clinic", study, instances, 10 * instances)

    async with anyio.create_task_group() as group:
        for study, instances in (("1.1", 3), ("1.2", 4), ("1.1", 3), ("1.2", 4)):
            group.start_soon(count, study, instances)
    assert await quotas.usage("clinic") == Usage(2, 7, 70)
    await count("1.1", 5)
    assert await quotas.usage("clinic") == Usage(2, 9, 90)
    assert [each.uid async for each in quotas.studies("clinic")] == ["1.2", "1.1"]
    await count("1.1", 0)
    assert await quotas.usage("clinic") == Usage(1, 4, 40)
    assert await quotas.has_study("clinic", "1.2")
    assert not await quotas.has_study("clinic", "1.1")
    # What it is about has changed: nothing of before counts. What is no quota any more, neither.
    assert await quotas.define("clinic", "MR")
    assert await quotas.usage("clinic") == Usage()
    await quotas.note("other", "1.1", 1, 1)
    assert await quotas.usage("other") == Usage()


async def test_one_has_a_pass_and_findings_keep_their_time(database: Database):
    findings = DatabaseFindings(database)
    await findings.start()
    assert await findings.last("scrub") == Pass()
    assert await findings.claim("scrub", 60.0) == Pass()
    assert await findings.claim("scrub", 60.0) is None
    state = Pass("1.2", 1.0, 0.0, 7, 1, 4711)
    await findings.save("scrub", state, 60.0)
    assert await findings.claim("scrub", 60.0) is None
    await findings.save("scrub", state, 0.0)
    assert await findings.claim("scrub", 60.0) == state
    found = [Finding(f"k{n}", "damaged", f"1.{n}", "torn", float(n)) for n in range(3)]
    await findings.note("scrub", found)
    await findings.note("scrub", [evolve(found[0], found=9.0, detail="gone")])
    await findings.note("check", [Finding("k9", "missing", "1.9", "", 9.0)])
    assert await findings.counts() == {"damaged": 3, "missing": 1}
    assert (await findings.found(10))[0] == evolve(found[0], detail="gone")
    await findings.clear("scrub", ["1.0", "1.9"])
    assert [each.key for each in await findings.found(10)] == ["k1", "k2", "k9"]
    await findings.clear("scrub")
    assert [each.key for each in await findings.found(10)] == ["k9"]
