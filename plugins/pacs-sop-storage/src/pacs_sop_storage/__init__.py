"""Storage SOP classes of every modality for pacs-core: answers C-STORE (PS3.4 Annex B)."""

from pacs_sop_storage.config import StorageConfig
from pacs_sop_storage.plugin import pacs_config, pacs_service_providers
from pacs_sop_storage.provider import Storage
from pacs_sop_storage.sop_classes import SOP_CLASSES, StorageSopClass

__all__ = [
    "SOP_CLASSES",
    "Storage",
    "StorageConfig",
    "StorageSopClass",
    "pacs_config",
    "pacs_service_providers",
]
