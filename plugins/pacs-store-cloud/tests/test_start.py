"""What is wrong with a bucket is said at start, with what to do."""

import re
from pathlib import Path

import pytest
from pacs_store_cloud import pacs_object_stores
from pacs_store_cloud.config import AzureConfig, S3Config
from pacs_store_cloud.errors import MisconfiguredError, describe
from pacs_store_cloud.store import CloudStore

from pacs_core.contracts import NodeSettings, Secret, Setup, StorageFullError

from .clouds import configure_azure, configure_s3, make_cloud_store

pytestmark = pytest.mark.anyio


async def refusal(store: CloudStore) -> str:
    """Return what a store says when it does not start."""
    try:
        with pytest.raises(MisconfiguredError) as caught:
            await store.start()
    finally:
        await store.stop()
    return str(caught.value)


async def test_a_container_that_is_not_there(tmp_path: Path, azure_url: str) -> None:
    config = configure_azure(azure_url, "p", container="nonesuch")
    said = await refusal(make_cloud_store(config, tmp_path))
    assert "there is no such container: make it, or correct `container`" in said


async def test_a_wrong_key_of_an_account(
    tmp_path: Path, azure_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_KEY", "d3Jvbmc=")
    config = configure_azure(azure_url, "p", account_key=Secret(env="WRONG_KEY"))
    said = await refusal(make_cloud_store(config, tmp_path))
    assert "correct the credentials" in said or "the credentials do not allow this" in said


async def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    """Refused for the time being: the deadline bounds it."""
    config = configure_s3("http://127.0.0.1:9", "p", deadline=0.5)
    store = make_cloud_store(config, tmp_path)
    with pytest.raises(StorageFullError, match=r"given up after 0\.5 s"):
        await store.start()
    await store.stop()


async def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    config = configure_s3("http://127.0.0.1:9", "p", secret_access_key=Secret(env="NO_SUCH_NAME"))
    store = make_cloud_store(config, tmp_path)
    with pytest.raises(LookupError, match="NO_SUCH_NAME"):
        await store.start()
    await store.stop()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: S3Config(bucket=""), "name the bucket"),
        (lambda: S3Config(bucket="b", prefix="a/../b"), "prefix 'a/../b'"),
        (lambda: S3Config(bucket="b", access_key_id=Secret(env="A")), "give both, or none"),
        (lambda: S3Config(bucket="b", kms_key="k"), 'set encryption = "aws:kms"'),
        (lambda: S3Config(bucket="b", encryption="sse-c"), "customer_key"),
        (lambda: S3Config(bucket="b", part_size=1), "part_size"),
        (lambda: S3Config(bucket="b", endpoint="http://objects:8333"), "set allow_http = true"),
        (lambda: AzureConfig(container="c"), "name the account"),
    ],
)
def test_tables_that_cannot_be_right(make: object, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        make()  # type: ignore[operator]


def test_secrets_in_urls_are_not_told() -> None:
    error = OSError("performing PUT https://a.blob.core.windows.net/c/1.2.dcm?sv=1&sig=abc in 3 ms")
    assert describe(error) == "performing PUT https://a.blob.core.windows.net/c/1.2.dcm in 3 ms"


async def test_a_store_without_a_table(tmp_path: Path) -> None:
    (descriptor, *_) = pacs_object_stores(Setup(NodeSettings(data_directory=tmp_path)))
    store = descriptor.create(Setup(NodeSettings(data_directory=tmp_path)))
    with pytest.raises(ValueError, match=r"write \[stores\.NAME\] with type = \"s3\""):
        await store.start()
    await store.stop()
