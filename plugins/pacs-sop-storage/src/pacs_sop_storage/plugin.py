"""What the plugin registers."""

from pacs_core.contracts import Node, ServiceProviderDescriptor, Setup, SopClassSupport
from pacs_core.plugins import hookimpl
from pacs_sop_storage.config import StorageConfig
from pacs_sop_storage.provider import Storage


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.sop-storage]``."""
    return StorageConfig


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the configured Storage SOP classes, as SCP, and as SCU for C-GET."""
    config = setup.config(StorageConfig)
    support = SopClassSupport(config.transfer_syntaxes, scp=True, scu=True)
    sop_classes = dict.fromkeys(config.sop_class_uids(), support)

    def create(node: Node) -> Storage:
        return Storage(node.archive, node.audit)

    return [ServiceProviderDescriptor("storage", sop_classes, create)]
