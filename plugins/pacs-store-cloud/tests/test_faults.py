"""Faults of networks and services between the store and a real S3 server."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from pacs_store_cloud.errors import MisconfiguredError
from pacs_store_cloud.store import CloudStore

from pacs_core.contracts import (
    NotOnlineError,
    ObjectExistsError,
    StorageFullError,
)
from pacs_core.testing.object_store_harness import get, identity, listing, put

from .clouds import configure_s3, make_cloud_store
from .fault_proxy import NOT_FOUND, SLOW_DOWN, Fault, FaultProxy, run_fault_proxy

pytestmark = pytest.mark.anyio

CONFLICT = (409, "<Error><Code>ConditionalRequestConflict</Code></Error>")
SMALL = bytes(range(256)) * 40
LARGE = bytes(range(251)) * 45_000  # three parts of 5 MiB
PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def running_proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: FaultProxy) -> Iterator[FaultProxy]:
    running_proxy.seen.clear()
    yield running_proxy
    left, running_proxy.faults = running_proxy.faults, []
    running_proxy.always = None
    assert left == [], "faults that no request met"


@pytest.fixture
async def store(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[CloudStore]:
    config = configure_s3(proxy.url, f"f{uuid4().hex}", request_timeout=5.0, part_size=PART)
    store = make_cloud_store(config, tmp_path)
    await store.start()
    yield store
    await store.stop()


async def test_answers_that_are_lost(proxy: FaultProxy, store: CloudStore) -> None:
    """The object is there, once, and its writer knows that it is its own."""
    proxy.faults += [("PUT", "1.1.1.dcm", Fault(lose_answer=True))] * 2
    stored = await put(store, SMALL, identity())
    assert await get(store, stored.key) == SMALL
    with pytest.raises(ObjectExistsError):
        await put(store, SMALL, identity())
    assert await listing(store) == {stored.key: len(SMALL)}
    proxy.faults += [("DELETE", "1.1.1.dcm", Fault(lose_answer=True))]
    await store.delete(stored.key)
    assert await listing(store) == {}


async def test_answers_about_a_large_object_that_are_lost(
    proxy: FaultProxy, store: CloudStore
) -> None:
    completed = ("POST", "1.1.1.dcm?uploadId", Fault(lose_answer=True))
    proxy.faults += [("PUT", "partNumber=2", Fault(lose_answer=True)), completed]
    proxy.faults += [("POST", "1.1.1.dcm?uploadId", Fault(answer=CONFLICT))]
    stored = await put(store, LARGE, identity())
    assert await get(store, stored.key) == LARGE
    proxy.faults += [completed]  # this time the other content is in the way
    with pytest.raises(ObjectExistsError):
        await put(store, LARGE[1:], identity())
    proxy.faults.clear()
    assert await get(store, stored.key) == LARGE
    assert await listing(store) == {stored.key: len(LARGE)}


async def test_bodies_that_are_damaged_or_cut(proxy: FaultProxy, store: CloudStore) -> None:
    proxy.faults += [("PUT", "1.1.1.dcm", Fault(damage_request=True))]
    stored = await put(store, SMALL, identity())
    proxy.faults += [("GET", "1.1.1.dcm", Fault(damage_response=True))]
    assert await get(store, stored.key) == SMALL
    proxy.faults += [("GET", "1.1.1.dcm", Fault(truncate=True))] * 2
    assert await get(store, stored.key) == SMALL
    large = await put(store, LARGE, identity(2))
    proxy.faults += [("GET", "1.1.2.dcm", Fault(truncate=True))] * 5
    async with await store.open(large.key) as reader:
        assert await reader.read(0, len(LARGE)) == LARGE


async def test_what_services_say_under_load(proxy: FaultProxy, store: CloudStore) -> None:
    proxy.faults += [("PUT", "1.1.1.dcm", Fault(answer=SLOW_DOWN))] * 3
    proxy.faults += [("PUT", "1.1.1.dcm", Fault(answer=(500, "")))]
    proxy.faults += [("PUT", "1.1.1.dcm", Fault(answer=CONFLICT))]
    stored = await put(store, SMALL, identity())
    proxy.faults += [("GET", "1.1.1.dcm", Fault(answer=NOT_FOUND))] * 2
    assert await get(store, stored.key) == SMALL
    proxy.faults += [("GET", "list-type=2", Fault(answer=SLOW_DOWN))] * 3
    assert await listing(store) == {stored.key: len(SMALL)}


FAILED_LATER = (
    200,
    "<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>",
)
"""Amazon answers so when completing an upload fails after it has begun to answer."""


async def test_success_that_is_none(proxy: FaultProxy, store: CloudStore) -> None:
    """Of the upload in parts, and of the copy to its name."""
    proxy.faults += [("POST", "?uploadId", Fault(answer=FAILED_LATER))]
    proxy.faults += [("POST", "1.1.1.dcm?uploadId", Fault(answer=FAILED_LATER))]
    stored = await put(store, LARGE, identity())
    assert await get(store, stored.key) == LARGE
    assert await listing(store) == {stored.key: len(LARGE)}


async def test_a_service_that_refuses_as_if_it_were_asked_for(
    proxy: FaultProxy, tmp_path: Path
) -> None:
    """304 in place of 412, as MinIO has answered (RFC 9110 §13.2.2 knows it of GET and HEAD)."""
    store = make_cloud_store(configure_s3(proxy.url, f"f{uuid4().hex}"), tmp_path)
    seen = 0

    def answer(method: str, path: str) -> Fault | None:
        nonlocal seen
        seen += method == "PUT"
        return Fault(answer=(304, "")) if method == "PUT" and seen > 1 else None

    proxy.always = answer
    with pytest.raises(MisconfiguredError, match="If-None-Match"):
        await store.start()
    await store.stop()


async def test_a_bucket_that_is_away(proxy: FaultProxy, tmp_path: Path) -> None:
    config = configure_s3(proxy.url, f"f{uuid4().hex}", deadline=1.0)
    store = make_cloud_store(config, tmp_path)
    await store.start()
    stored = await put(store, SMALL, identity())
    proxy.always = lambda method, path: Fault(latency=2.0, answer=SLOW_DOWN)
    with pytest.raises(StorageFullError, match="given up after 1 s"):
        await put(store, SMALL, identity(2))
    with pytest.raises(NotOnlineError, match="given up"):
        await store.open(stored.key)
    proxy.always = None
    assert await get(store, stored.key) == SMALL
    assert (await put(store, SMALL, identity(2))).size == len(SMALL)
    await store.stop()


async def test_a_service_that_overwrites(proxy: FaultProxy, tmp_path: Path) -> None:
    """One that does not know If-None-Match would lose objects: it is refused."""
    proxy.always = lambda method, path: Fault(unconditional=True)
    store = make_cloud_store(configure_s3(proxy.url, "p"), tmp_path)
    with pytest.raises(MisconfiguredError, match="If-None-Match"):
        await store.start()
    await store.stop()


async def test_races_among_faults(proxy: FaultProxy, store: CloudStore) -> None:
    """Of all that want a key one gets it, whatever is lost, cut, damaged or refused on the way."""
    chance = random.Random(16)
    kinds = (
        Fault(lose_answer=True),
        Fault(answer=SLOW_DOWN),
        Fault(truncate=True),
        Fault(damage_request=True),
        Fault(latency=0.1),
    )
    proxy.always = lambda method, path: chance.choice(kinds) if chance.random() < 0.3 else None
    won: dict[str, bytes] = {}

    async def race(number: int, racer: int) -> None:
        content = bytes([racer]) * (1_000 + number)
        try:
            stored = await put(store, content, identity(number))
        except ObjectExistsError:
            return
        assert stored.key not in won, "two have won"
        won[stored.key] = content

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            for racer in range(4):
                tasks.start_soon(race, number, racer)
    assert len(won) == 6
    assert {key: await get(store, key) for key in await listing(store)} == won
