"""Registration of the plugin."""

from collections.abc import Mapping
from typing import Final

from pacs_core.contracts import Node, ServiceProviderDescriptor, Setup, SopClassSupport
from pacs_core.dimse import Status
from pacs_core.plugins import hookimpl
from pacs_sop_storage.compression import Compression
from pacs_sop_storage.config import StorageConfig
from pacs_sop_storage.provider import Storage
from pacs_sop_storage.sop_classes import SOP_CLASSES

_NAMES: Final = {row.uid: row.name for row in SOP_CLASSES}
_STATUSES: Final[Mapping[int, str]] = {
    Status.SUCCESS: "stored as durably as configured, indexed and recorded, or stored already",
    Status.COERCION_OF_DATA_ELEMENTS: "stored, as an ingest filter has changed it",
    Status.DATASET_DOES_NOT_MATCH_SOP_CLASS_WARNING: "stored, but it cannot be converted",
    Status.PROCESSING_FAILURE: "could not be stored, or not be recorded by a required audit sink",
    Status.NOT_AUTHORIZED: "an authorizer denied it, or does not allow such instances",
    Status.DUPLICATE_SOP_INSTANCE: "other content has this UID, and the policy is to reject it",
    Status.INVALID_SOP_INSTANCE: "the Affected SOP Instance UID is not a UID",
    Status.SOP_CLASS_NOT_SUPPORTED: "the SOP class is not that of the presentation context",
    Status.UNRECOGNIZED_OPERATION: "the request is no C-STORE",
    Status.OUT_OF_RESOURCES: "no room in the object store, or no memory within the budget",
    Status.DATASET_DOES_NOT_MATCH_SOP_CLASS: "data set and command name different UIDs",
    Status.CANNOT_UNDERSTAND: "the data set is malformed, missing, or lacks a UID",
}


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.sop-storage]``."""
    return StorageConfig


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the configured Storage SOP classes, as SCP, and as SCU for C-GET."""
    config = setup.config(StorageConfig)
    sop_classes = {
        uid: SopClassSupport(
            config.transfer_syntaxes,
            scp=True,
            scu=True,
            name=_NAMES.get(uid, ""),
            preferred=config.preferred(uid),
        )
        for uid in config.sop_class_uids()
    }

    def create(node: Node) -> Storage:
        target = config.compress_uid
        if not target:
            return Storage(node.archive, node.audit)
        compression = Compression(node.transcoder, node.audit, target)
        return Storage(node.archive, node.audit, compression)

    return [
        ServiceProviderDescriptor(
            "storage",
            sop_classes,
            create,
            description=(
                "Takes objects by C-STORE (PS3.4 Annex B), Level 2 (full): every attribute is "
                "kept as received, unless an ingest filter of the site coerces it. As SCU on "
                "associations that it accepted it sends objects for C-GET."
            ),
            statuses=_STATUSES,
        )
    ]
