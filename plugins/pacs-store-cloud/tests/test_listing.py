"""Names in a bucket: they spread load, and are listed page by page."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from pacs_store_cloud.keys import Names, make_key

from pacs_core.contracts import InstanceIdentity
from pacs_core.testing.cloud_servers import BUCKET

from .clouds import UntriedStore, configure_s3, make_cloud_store
from .fault_proxy import FaultProxy, run_fault_proxy

OBJECTS = 2_100
PAGE = 1_000
"""Objects in one answer of S3, at most."""


def key_of(number: int, series: int = 1) -> str:
    uids = (f"1.2.{series}", f"1.2.{series}.1", f"1.2.{series}.1.{number}")
    return make_key(InstanceIdentity(*uids, "1.2.840.10008.5.1.4.1.1.2"))


@pytest.fixture
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


@pytest.mark.anyio
async def test_a_page_is_asked_for_when_the_one_before_was_taken(
    proxy: FaultProxy, s3_url: str, tmp_path: Path
) -> None:
    """So that memory is that of a page, whatever number of objects there is."""
    config = configure_s3(proxy.url, "listing")
    store = make_cloud_store(config, tmp_path, kind=UntriedStore)
    await store.start()
    names = Names("listing", 3)
    keys = {key_of(number) for number in range(OBJECTS)}
    client = boto3.client(
        "s3", endpoint_url=s3_url, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    with ThreadPoolExecutor(4) as threads:
        put = partial(client.put_object, Bucket=BUCKET, Body=b"")
        list(threads.map(lambda key: put(Key=names.name(key)), keys))
    before, found, asked = len(proxy.seen), set[str](), []
    async with aclosing(cast(Any, store.objects())) as objects:
        async for each in objects:
            found.add(each.key)
            if len(found) in (1, PAGE, PAGE + 1, OBJECTS):
                asked.append(len(proxy.seen) - before)
    assert found == keys
    assert asked[0] == asked[1] < asked[2] < asked[3]
    await store.stop()


def test_names_of_series_spread_over_the_beginnings_and_lead_back_to_their_keys() -> None:
    """As a service splits a bucket by them: of 4,096 beginnings none has much more than others."""
    names = Names("archive", 3)
    begun = Counter(names.name(key_of(1, series)).split("/")[1] for series in range(20_000))
    assert len(begun) > 4_000
    assert max(begun.values()) < 25  # 4.9 in the mean
    together = {names.name(key_of(number, 7)).rpartition("/")[0] for number in range(50)}
    assert len(together) == 1
    for series in range(100):
        assert names.key(names.name(key_of(1, series))) == key_of(1, series)
        assert names.key("archive/fff/" + key_of(1, series)) in (None, key_of(1, series))
