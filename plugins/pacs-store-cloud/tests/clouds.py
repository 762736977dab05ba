"""Stores of tests, on the servers of tests."""

import os
from pathlib import Path

from pacs_store_cloud.assembly import make_bucket
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.config import AzureConfig, CloudConfig, GcsConfig, S3Config
from pacs_store_cloud.keys import Names
from pacs_store_cloud.store import CloudStore

from pacs_core.contracts import Secret
from pacs_core.testing.cloud_servers import ACCOUNT, ACCOUNT_KEY, BUCKET

from .google_server import service_account


def configure_s3(url: str, prefix: str, **changes: object) -> S3Config:
    """Return the configuration of a store in the bucket of :func:`run_s3`."""
    os.environ["PACS_TEST_CLOUD_KEY"] = "testing"
    values: dict[str, object] = {
        "bucket": BUCKET,
        "endpoint": url,
        "prefix": prefix,
        "allow_http": True,
        "access_key_id": Secret(env="PACS_TEST_CLOUD_KEY"),
        "secret_access_key": Secret(env="PACS_TEST_CLOUD_KEY"),
        "deadline": 20.0,
    }
    return S3Config(**{**values, **changes})  # type: ignore[arg-type]


def configure_azure(url: str, prefix: str, **changes: object) -> AzureConfig:
    """Return the configuration of a store in the container of :func:`run_azure`."""
    os.environ["PACS_TEST_AZURE_KEY"] = ACCOUNT_KEY
    values: dict[str, object] = {
        "container": BUCKET,
        "account": ACCOUNT,
        "account_key": Secret(env="PACS_TEST_AZURE_KEY"),
        "endpoint": url,
        "prefix": prefix,
        "allow_http": True,
        "deadline": 20.0,
    }
    return AzureConfig(**{**values, **changes})  # type: ignore[arg-type]


def configure_google(url: str, prefix: str, **changes: object) -> GcsConfig:
    """Return the configuration of a store in the bucket of :func:`run_google`."""
    os.environ["PACS_TEST_GOOGLE_KEY"] = service_account(url)
    values: dict[str, object] = {
        "bucket": BUCKET,
        "service_account_key": Secret(env="PACS_TEST_GOOGLE_KEY"),
        "endpoint": url,
        "prefix": prefix,
        "allow_http": True,
        "deadline": 20.0,
    }
    return GcsConfig(**{**values, **changes})  # type: ignore[arg-type]


def objects_in(folder: Path) -> list[Path]:
    """Return the files of objects below a folder, which may change meanwhile."""
    # Folders go while they are walked through, which `rglob` does not bear.
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names
            if name.endswith(".dcm")]  # fmt: skip


class UntriedStore(CloudStore):
    """A store that does not try its bucket out whenever it is started, for many short tests."""

    async def _try_out(self) -> None:
        pass


def make_cloud_store(
    config: CloudConfig,
    directory: Path,
    spread: int = 3,
    cache: BlockCache | None = None,
    kind: type[CloudStore] = CloudStore,
) -> CloudStore:
    """Make a store; its files on their way are below `directory`."""
    return kind(
        make_bucket(config),
        Names(config.prefix, spread),
        directory / "tmp",
        part_size=config.part_size,
        large_uploads=config.large_uploads,
        cache=cache,
    )
