# ruff: noqa: D102 - the names of the tests are their documentation
"""Instances that are written behind: part of the contract suite of indexes."""

from functools import partial

import anyio
from attrs import evolve

from pacs_core.contracts import Durability, Index, IndexResult, InstanceRecord, Level
from pacs_core.testing.index_harness import found, make_record, path, path_of, uid_of


class IndexUnflushed:
    """Tests of the account of instances whose objects are not on disk yet."""

    async def test_what_is_written_behind_is_found_at_once(self, index: Index) -> None:
        record = make_record()
        assert (await index.add(record, durability=Durability.WRITE_BEHIND)).existing is None
        assert await index.locate(path_of(record)) == record.instance
        assert await found(index, Level.STUDY) == ["1.2.3.1"]

    async def test_what_is_written_behind_is_noted_until_it_is_settled(self, index: Index) -> None:
        records = [make_record(n) for n in "123"]
        for record in records:
            await index.add(record, durability=Durability.WRITE_BEHIND)
        await index.add(make_record("4"))
        await index.add(make_record("5"), durability=Durability.NONE)
        noted = {uid_of(InstanceRecord(i)): i async for i in index.unflushed()}
        assert noted == {uid_of(record): record.instance for record in records}
        await index.settle([path("1"), path("3"), path("999")])
        assert [i async for i in index.unflushed()] == [records[1].instance]
        assert len(await found(index, Level.IMAGE)) == 5

    async def test_a_duplicate_that_is_written_behind_is_not_noted(self, index: Index) -> None:
        await index.add(make_record())
        again = await index.add(make_record(), durability=Durability.WRITE_BEHIND)
        assert again == IndexResult(make_record().instance)
        assert [i async for i in index.unflushed()] == []

    async def test_many_are_added_as_one_after_the_other(self, index: Index) -> None:
        records = [make_record(str(n)) for n in range(20)]
        await index.add(records[3])
        twice = [*records, records[7]]
        results = await index.add_many(twice, durability=Durability.WRITE_BEHIND)
        existing = {3: records[3].instance, 20: records[7].instance}
        assert [result.existing for result in results] == [existing.get(n) for n in range(21)]
        assert len(await found(index, Level.IMAGE)) == 20
        assert len([i async for i in index.unflushed()]) == 19
        assert await index.add_many([]) == []

    async def test_what_is_removed_or_replaced_is_noted_no_longer(self, index: Index) -> None:
        for n in "123":
            await index.add(make_record(n), durability=Durability.WRITE_BEHIND)
        await index.remove(path("1"))
        other = make_record("2")
        await index.replace(evolve(other, instance=evolve(other.instance, key="key/other")))
        assert [i async for i in index.unflushed()] == [make_record("3").instance]
        await index.clear()
        assert [i async for i in index.unflushed()] == []

    async def test_many_are_settled_while_they_are_listed(self, index: Index) -> None:
        async with anyio.create_task_group() as group:
            for n in range(520):
                record = make_record(str(n))
                group.start_soon(partial(index.add, record, durability=Durability.WRITE_BEHIND))
        seen = set()
        async for instance in index.unflushed():
            seen.add(instance.identity.sop_instance_uid)
            await index.settle([instance.identity.path])
        assert len(seen) == 520
        assert [i async for i in index.unflushed()] == []
