"""Assembly of a store from its configuration."""

from functools import partial
from typing import Final

from pacs_core.contracts import ObjectStore, Setup
from pacs_store_cloud.bucket import Bucket
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.clients import Clients, make_clients
from pacs_store_cloud.config import AzureConfig, CloudConfig, S3Config
from pacs_store_cloud.keys import Names
from pacs_store_cloud.mirrored import MirroredStore
from pacs_store_cloud.spooled import SpooledStore
from pacs_store_cloud.store import CloudStore

_TYPES: Final = {"S3Config": "s3", "AzureConfig": "azure", "GcsConfig": "gcs"}


def make_store(config: CloudConfig, setup: Setup) -> ObjectStore:
    """Make the store of a table; nothing is looked at yet."""
    store = CloudStore(
        make_bucket(config),
        Names(config.prefix.rstrip("/"), config.spread),
        config.temporary or setup.directory / "tmp",
        part_size=config.part_size,
        large_uploads=config.large_uploads,
        cache=_make_cache(config, setup),
    )
    if config.spool is None:
        return store
    spool = setup.store(config.spool)
    if config.spool_copy is not None:
        spool = MirroredStore(spool, setup.store(config.spool_copy), setup.store_name)
    return SpooledStore(
        spool,
        store,
        setup.directory / "locks",
        name=setup.store_name,
        capacity=config.spool_size,
        grace=config.spool_grace,
        patience=config.deadline,
    )


def make_without_table(kind: str, setup: Setup) -> ObjectStore:
    """Make what stands for a store that has no table, and says so when it is started."""

    def refuse() -> Clients:
        raise ValueError(
            f"a store of the type {kind!r} needs a table: write [stores.NAME] with "
            f'type = "{kind}", and [archive] store = "NAME"'
        )

    bucket = Bucket(refuse, kind, 1.0, read_back=False)
    return CloudStore(bucket, Names(), setup.directory / "tmp", part_size=1, large_uploads=1)


def _make_cache(config: CloudConfig, setup: Setup) -> BlockCache | None:
    if not config.cache_size:
        return None
    return BlockCache(config.cache or setup.directory / "cache", config.cache_size)


def make_bucket(config: CloudConfig) -> Bucket:
    """Make the bucket of a table; nothing is connected."""
    place = config.container if isinstance(config, AzureConfig) else getattr(config, "bucket", "")
    return Bucket(
        partial(make_clients, config),
        f"{_TYPES[type(config).__name__]} {place}",
        config.deadline,
        read_back=not isinstance(config, S3Config) or config.checksum == "none",
    )
