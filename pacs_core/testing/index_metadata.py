# ruff: noqa: D102 - the names of the tests are their documentation
"""Metadata that are kept of instances: part of the contract suite of indexes."""

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from pacs_core.contracts import (
    Index,
    InstanceRecord,
    Level,
    PreparedMetadata,
    Query,
    Restriction,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import make_record, path, path_of

FORM = "a form"
ALL = Query(Level.IMAGE)


def content(record: InstanceRecord) -> bytes:
    """Return what stands for the metadata of a record."""
    return b'{"00080018":{"vr":"UI","Value":["%s"]}}' % path_of(record)[1].encode()


async def kept(prepared: PreparedMetadata, query: Query = ALL) -> dict[str, bytes | None]:
    """Return what is kept, by the last part of the names of instances."""
    found = prepared.find(query)
    return {i.identity.sop_instance_uid[6:]: metadata async for i, metadata in found}


async def find_lacking(prepared: PreparedMetadata, limit: int = 100) -> list[str]:
    """Return the last parts of the names of instances that lack metadata."""
    found = await prepared.lacking(limit)
    return sorted(instance.identity.sop_instance_uid[6:] for instance in found.instances)


async def keep(prepared: PreparedMetadata, *records: InstanceRecord) -> bool:
    """Keep metadata of some records, as they are now."""
    revision = await prepared.revision()
    return await prepared.keep([(r.instance, content(r)) for r in records], revision)


class IndexMetadata:
    """Of indexes with :meth:`Index.prepared_metadata`; the others do without these tests."""

    @pytest.fixture
    def prepared(self, index: Index) -> PreparedMetadata:
        """Return the metadata of the index."""
        prepared = index.prepared_metadata(FORM)
        if prepared is None:
            pytest.skip("the index keeps no metadata")
        return prepared

    async def test_what_lacks_metadata_is_named(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        assert await find_lacking(prepared) == []
        records = [make_record(str(number)) for number in range(5)]
        for record in records:
            await index.add(record)
        assert await find_lacking(prepared) == [f"1.1.{number}" for number in range(5)]
        assert len(await find_lacking(prepared, 2)) == 2
        assert await kept(prepared) == {f"1.1.{number}": None for number in range(5)}
        await keep(prepared, records[1], records[3])
        assert await find_lacking(prepared) == ["1.1.0", "1.1.2", "1.1.4"]
        await keep(prepared, records[0], records[2], records[4])
        assert await find_lacking(prepared) == []
        await index.add(make_record("5"))
        assert await find_lacking(prepared) == ["1.1.5"]

    async def test_what_is_kept_is_found_in_the_order_of_instances(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        records = [make_record(name) for name in ("1.2.3", "1.1.2", "2.1.1", "1.1.1")]
        for record in records:
            await index.add(record)
        assert await keep(prepared, *records[:3])
        found = [each async for each in prepared.find(ALL)]
        assert [instance for instance, _ in found] == [i async for i in index.instances(ALL)]
        expected = {r.instance: content(r) for r in records[:3]}
        assert dict(found) == {**expected, records[3].instance: None}
        study = Query(Level.STUDY, (SingleValue(tag_of("StudyInstanceUID"), "1.2.3.2"),))
        assert await kept(prepared, study) == {"2.1.1": content(records[2])}

    async def test_restrictions_hold_for_metadata(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        ct, mr = make_record("1.1.1"), make_record("1.2.1", Modality="MR")
        for record in (ct, mr):
            await index.add(record)
        await keep(prepared, ct, mr)
        only: Restriction = SingleValue(tag_of("Modality"), "MR")
        assert await kept(prepared, Query(Level.STUDY, restrictions=(only,))) == {
            "1.2.1": content(mr)
        }

    async def test_what_has_none_is_not_lacking(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        record = make_record("1")
        await index.add(record)
        assert await prepared.keep([(record.instance, None)], await prepared.revision())
        assert await find_lacking(prepared) == []
        assert await kept(prepared) == {"1.1.1": None}

    async def test_metadata_go_with_their_instance(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        first, last = make_record("1"), make_record("2")
        for record in (first, last):
            await index.add(record)
        await keep(prepared, first, last)
        assert await find_lacking(prepared) == []
        # The second time an index may give a row the name of the one that went.
        for record in (last, first):
            await index.remove(path_of(record))
            await index.add(record)
            name = path_of(record)[1][6:]
            assert await find_lacking(prepared) == [name]
            assert (await kept(prepared))[name] is None
            await keep(prepared, record)
        other = evolve(first, instance=evolve(first.instance, key="key/other"))
        await index.replace(other)
        assert await kept(prepared) == {"1.1.1": None, "1.1.2": content(last)}
        assert await find_lacking(prepared) == ["1.1.1"]
        await index.clear()
        assert await find_lacking(prepared) == []
        await index.add(first)
        assert await kept(prepared) == {"1.1.1": None}

    async def test_metadata_of_before_a_change_are_not_kept(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        first, other = make_record("1"), make_record("2")
        for record in (first, other):
            await index.add(record)
        asked = await prepared.lacking(10)
        await index.replace(evolve(first, instance=evolve(first.instance, key="key/other")))
        assert not await prepared.keep([(first.instance, b"{}")], asked.revision)
        revision = await prepared.revision()
        await prepared.forget([path("2")])
        assert not await prepared.keep([(other.instance, b"{}")], revision)
        assert await kept(prepared) == {"1.1.1": None, "1.1.2": None}
        assert await find_lacking(prepared) == ["1.1.1", "1.1.2"]

    async def test_what_is_not_this_object_is_not_kept(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        record = make_record("1")
        await index.add(record)
        unknown = make_record("9")
        other = evolve(record, instance=evolve(record.instance, key="key/other"))
        later = evolve(record, instance=evolve(record.instance, digest=b"later"))
        assert await keep(prepared, unknown, other, later)
        assert await kept(prepared) == {"1.1.1": None}

    async def test_what_is_forgotten_is_lacking(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        records = [make_record(str(number)) for number in range(4)]
        for record in records:
            await index.add(record)
        await keep(prepared, *records)
        assert await find_lacking(prepared) == []
        await prepared.forget([path("0"), path("2"), path("9")])
        assert await find_lacking(prepared) == ["1.1.0", "1.1.2"]
        assert await kept(prepared) == {
            "1.1.0": None,
            "1.1.1": content(records[1]),
            "1.1.2": None,
            "1.1.3": content(records[3]),
        }

    async def test_another_form_is_lacking(self, index: Index, prepared: PreparedMetadata) -> None:
        record = make_record("1")
        await index.add(record)
        await keep(prepared, record)
        assert await find_lacking(prepared) == []
        later = index.prepared_metadata("a later form")
        assert later is not None
        assert await kept(later) == {"1.1.1": None}
        assert await find_lacking(later) == ["1.1.1"]
        await keep(later, record)
        assert await kept(later) == {"1.1.1": content(record)}
        assert await kept(prepared) == {"1.1.1": None}

    async def test_any_bytes_come_back(self, index: Index, prepared: PreparedMetadata) -> None:
        contents = [b"{}", bytes(range(256)) * 4000, "ä山".encode()]
        records = [make_record(str(number)) for number, _ in enumerate(contents)]
        for record in records:
            await index.add(record)
        pairs = zip([r.instance for r in records], contents, strict=True)
        await prepared.keep(list(pairs), await prepared.revision())
        assert list((await kept(prepared)).values()) == contents

    async def test_a_rebuild_makes_metadata_lack_or_keeps_them(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        record = make_record("1")
        await index.add(record)
        await keep(prepared, record)
        async with index.rebuilding() as building:
            await building.index.add(record)
            async for _ in building.changes():
                pass
        if await find_lacking(prepared):
            await keep(prepared, record)
        assert await kept(prepared) == {"1.1.1": content(record)}

    async def test_nothing_lacks_after_many_came_and_went(
        self, index: Index, prepared: PreparedMetadata
    ) -> None:
        """Whatever happens at the same time: what lacks is found, and made, in the end."""
        records = [make_record(str(number)) for number in range(60)]

        async def come_and_go() -> None:
            for number, record in enumerate(records):
                await index.add(record)
                if number % 3 == 2:
                    await index.remove(path_of(records[number - 1]))
            for record in records[1::3]:
                await index.add(record)

        async def prepare() -> None:
            while True:
                found = await prepared.lacking(7)
                made = [(i, content(InstanceRecord(i))) for i in found.instances]
                await prepared.keep(made, found.revision)
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(prepare)
                await come_and_go()
                while None in (await kept(prepared)).values():  # noqa: ASYNC110 nothing tells
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
        assert await kept(prepared) == {path_of(r)[1][6:]: content(r) for r in records}
        assert await find_lacking(prepared) == []
