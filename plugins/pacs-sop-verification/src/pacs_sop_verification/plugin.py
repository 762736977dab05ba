"""Registration of the plugin."""

from pacs_core.contracts import ServiceProviderDescriptor, Setup, SopClassSupport
from pacs_core.dimse import Status
from pacs_core.plugins import hookimpl
from pacs_sop_verification.provider import VERIFICATION, Verification


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Register the Verification SOP class."""
    return [
        ServiceProviderDescriptor(
            "verification",
            {VERIFICATION: SopClassSupport(name="Verification SOP Class")},
            lambda node: Verification(node.audit),
            description="Answers C-ECHO (PS3.4 Annex A).",
            statuses={Status.SUCCESS: "the node is there"},
        )
    ]
