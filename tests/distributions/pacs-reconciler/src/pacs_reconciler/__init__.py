"""Patient Information Reconciliation: patients are what the hospital information system says."""

from attrs import frozen

from pacs_core.contracts import ServiceDescriptor, Setup
from pacs_core.plugins import hookimpl
from pacs_reconciler.listener import Listener


@frozen
class ReconcilerConfig:
    """The table ``[plugin.reconciler]``.

    Attributes
    ----------
    port : int
        Where it takes HL7 messages.
    """

    port: int = 0


@hookimpl
def pacs_config() -> type:
    """Declare the table."""
    return ReconcilerConfig


@hookimpl
def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
    """Return the listener; one for all workers, so that messages are taken in order."""
    port = setup.config(ReconcilerConfig).port
    return [
        ServiceDescriptor("reconciler", Listener, scope="node", bind=("127.0.0.1", port)),
    ]
