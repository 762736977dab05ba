"""An index that was lost, told from one whose first row is on its way."""

import anyio
import pytest

from pacs_core.archive import find_gap

from .conftest import WholeFileConversion, make_dataset

pytestmark = pytest.mark.anyio


class SlowIndex:
    """The index as another process sees it that starts while the first instance is stored."""

    def __init__(self, index, looks):
        self._index, self._looks = index, looks

    def __getattr__(self, name):
        return getattr(self._index, name)

    async def is_empty(self):
        self._looks -= 1
        return self._looks >= 0 or await self._index.is_empty()


async def test_a_first_instance_that_another_worker_stores_just_now_is_no_gap():
    """Its object is there before its row: a worker that starts in between finds no lost index."""
    parts = WholeFileConversion()
    await parts.send(parts.archive(), make_dataset())
    with anyio.fail_after(30):
        assert await find_gap(parts.store, SlowIndex(parts.index, looks=4)) == ""
    assert await parts.index.gap() == ""


async def test_an_index_that_stays_empty_beside_objects_was_lost():
    parts = WholeFileConversion()
    await parts.send(parts.archive(), make_dataset())
    await parts.index.clear()
    assert "empty or missing" in await find_gap(parts.store, parts.index)
    assert "empty or missing" in await parts.index.gap()


async def test_objects_whose_rows_were_never_written_make_no_gap(monkeypatch):
    """The node was killed amid the first instances of a new archive: nobody was told of them."""
    parts = WholeFileConversion()
    assert await find_gap(parts.store, parts.index) == ""
    await parts.send(parts.archive(), make_dataset())
    await parts.index.clear()
    assert await find_gap(parts.store, parts.index) == ""
    # More than can have been on their way: the store was not there at the first start.
    monkeypatch.setattr("pacs_core.archive.maintenance._ON_THEIR_WAY", 0)
    assert "empty or missing" in await find_gap(parts.store, parts.index)
