# ruff: noqa: D102 - the names of the tests are their documentation
"""Leases of what one node does at a time: part of the contract suite of indexes."""

import anyio
import pytest

from pacs_core.contracts import Index, Leases
from pacs_core.testing.index_harness import make_record

LONG, SHORT = 3600.0, 0.05


class IndexLeases:
    """Of indexes that have :attr:`Index.leases`; the others do without these tests."""

    @pytest.fixture
    def leases(self, index: Index) -> Leases:
        """Return the leases of the index."""
        if index.leases is None:
            pytest.skip("the index keeps no leases")
        return index.leases

    async def test_a_lease_has_one_holder(self, leases: Leases) -> None:
        lease = await leases.acquire("a", "one", LONG)
        assert lease is not None
        assert (lease.name, lease.holder) == ("a", "one")
        assert await leases.acquire("a", "two", LONG) is None
        other = await leases.acquire("b", "two", LONG)
        assert other is not None
        assert list(await leases.held()) == [lease, other]

    async def test_of_many_that_ask_at_once_one_gets_it(self, leases: Leases) -> None:
        got = []

        async def ask(number: int) -> None:
            got.append(await leases.acquire("a", f"holder {number}", LONG))

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, number)
        assert [lease for lease in got if lease] == list(await leases.held())

    async def test_a_lease_that_is_released_is_free_at_once(self, leases: Leases) -> None:
        first = await leases.acquire("a", "one", LONG)
        assert first is not None
        await leases.release(first)
        await leases.release(first)
        assert list(await leases.held()) == []
        second = await leases.acquire("a", "two", LONG)
        assert second is not None
        assert second.token > first.token
        await leases.release(first)
        assert list(await leases.held()) == [second]

    async def test_a_lease_whose_time_has_run_out_is_free(self, leases: Leases) -> None:
        first = await leases.acquire("a", "one", SHORT)
        assert first is not None
        await anyio.sleep(2 * SHORT)
        assert list(await leases.held()) == []
        second = await leases.acquire("a", "two", LONG)
        assert second is not None
        assert second.token > first.token
        assert not await leases.renew(first, LONG)
        assert list(await leases.held()) == [second]

    async def test_a_lease_that_is_renewed_goes_on(self, leases: Leases) -> None:
        lease = await leases.acquire("a", "one", SHORT)
        assert lease is not None
        assert await leases.renew(lease, LONG)
        await anyio.sleep(2 * SHORT)
        assert await leases.acquire("a", "two", LONG) is None
        assert list(await leases.held()) == [lease]

    async def test_a_late_renewal_holds_if_nobody_came(self, leases: Leases) -> None:
        lease = await leases.acquire("a", "one", SHORT)
        assert lease is not None
        await anyio.sleep(2 * SHORT)
        assert await leases.renew(lease, LONG)
        assert await leases.acquire("a", "two", LONG) is None

    async def test_who_takes_its_own_lease_again_has_a_new_token(self, leases: Leases) -> None:
        first = await leases.acquire("a", "one", LONG)
        second = await leases.acquire("a", "one", LONG)
        assert first is not None
        assert second is not None
        assert second.token > first.token
        assert not await leases.renew(first, LONG)
        assert await leases.renew(second, LONG)

    async def test_leases_outlive_what_the_index_has(self, index: Index, leases: Leases) -> None:
        await index.add(make_record("1"))
        lease = await leases.acquire("a", "one", LONG)
        assert lease is not None
        await index.clear()
        assert await leases.acquire("a", "two", LONG) is None
        async with index.rebuilding() as building:
            await building.index.add(make_record("1"))
            async for _ in building.changes():
                pass
        assert index.leases is not None
        assert await index.leases.acquire("a", "two", LONG) is None
        assert await index.leases.renew(lease, LONG)
        await index.leases.release(lease)
        again = await index.leases.acquire("a", "two", LONG)
        assert again is not None
        assert again.token > lease.token
