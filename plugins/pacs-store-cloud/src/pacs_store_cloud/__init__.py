"""Object stores of pacs-core in the cloud: S3 and compatibles, Azure Blob, Google Cloud Storage."""

from functools import partial

from pacs_core.contracts import ObjectStore, ObjectStoreDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_store_cloud.config import AzureConfig, CloudConfig, GcsConfig, S3Config

__all__ = ["AzureConfig", "GcsConfig", "S3Config", "pacs_object_stores"]

_TYPES: dict[str, type[CloudConfig]] = {"s3": S3Config, "azure": AzureConfig, "gcs": GcsConfig}


@hookimpl
def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
    """Return the stores ``s3``, ``azure`` and ``gcs``."""
    return [
        ObjectStoreDescriptor(name, partial(_create, name=name), config)
        for name, config in _TYPES.items()
    ]


def _create(setup: Setup, name: str) -> ObjectStore:
    from pacs_store_cloud.assembly import make_store, make_without_table

    if not setup.store_name:
        return make_without_table(name, setup)
    return make_store(setup.config(_TYPES[name]), setup)
