# ruff: noqa: D102 - the names of the tests are their documentation
"""State of an index itself, and its rebuilding: part of the contract suite of indexes."""

import pytest

from pacs_core.contracts import Index, Level
from pacs_core.testing.index_harness import found, make_record, path_of, populate


class IndexState:
    """Tests that an index knows what it lacks, and is replaced whole or not at all."""

    async def test_a_gap_is_noted_and_taken_back(self, index: Index) -> None:
        assert await index.gap() == ""
        assert not await index.has_no_gap()
        await index.note_gap("half of it was lost")
        await index.add(make_record())
        assert await index.gap() == "half of it was lost"
        await index.note_gap("all of it was lost")
        await index.clear()
        assert await index.gap() == "all of it was lost"
        assert not await index.has_no_gap()
        await index.note_gap("")
        assert await index.gap() == ""
        assert await index.has_no_gap()

    async def test_it_knows_whether_it_is_empty(self, index: Index) -> None:
        assert await index.is_empty()
        await index.add(make_record())
        assert not await index.is_empty()
        await index.remove(path_of(make_record()))
        assert await index.is_empty()

    async def test_what_is_sound_is_not_called_damaged(self, index: Index) -> None:
        await populate(index)
        assert list(await index.damage()) == []

    async def test_a_new_index_takes_the_place_of_the_old(self, index: Index) -> None:
        await index.add(make_record("1"))
        await index.note_gap("it lacks one")
        async with index.rebuilding() as building:
            assert await building.index.is_empty()
            for n in "23":
                await building.index.add(make_record(n))
            assert [change async for change in building.changes()] == []
        assert await found(index, Level.IMAGE) == ["1.2.3.1.1.2", "1.2.3.1.1.3"]
        assert await index.locate(path_of(make_record("1"))) is None
        assert await index.gap() == ""
        assert (await index.add(make_record("4"))).existing is None

    async def test_a_rebuild_that_fails_is_no_secret(self, index: Index) -> None:
        async def fail_half_way() -> None:
            async with index.rebuilding() as building:
                await building.index.add(make_record("2"))
                raise RuntimeError("half-way")

        await index.add(make_record("1"))
        with pytest.raises(RuntimeError, match="half-way"):
            await fail_half_way()
        whole = await found(index, Level.IMAGE) == ["1.2.3.1.1.1"]
        assert whole is (await index.gap() == "")

    async def test_changes_during_a_rebuild_are_told(self, index: Index) -> None:
        for n in "123":
            await index.add(make_record(n))
        async with index.rebuilding() as building:
            if building.index is index:
                pytest.skip("this index is not built beside another")
            anew = make_record("2", SeriesDescription="anew")
            await index.remove(path_of(make_record("1")))
            await index.replace(anew)
            await index.add(make_record("4"))
            assert sorted(await found(index, Level.IMAGE, key="InstanceNumber")) == ["2", "3", "4"]
            told = {path: served async for path, served in building.changes()}
        assert told == {
            path_of(make_record("1")): None,
            path_of(anew): anew.instance,
            path_of(make_record("4")): make_record("4").instance,
        }
