"""Storage Commitment in small: N-ACTION is answered, and its result reported afterwards."""

import asyncio

from pacs_core.contracts import (
    AssociationInfo,
    Link,
    Node,
    Operation,
    Response,
    ServiceProvider,
    ServiceProviderDescriptor,
    Setup,
    SopClassSupport,
)
from pacs_core.dataset import parse_attributes, tag_of, texts
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_core.plugins import hookimpl

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
GRAYSCALE_PRINT_META = "1.2.840.10008.5.1.1.9"
TRANSACTION_UID = tag_of("TransactionUID")

LOG: list[str] = []
"""What happened, for tests in the same process."""


class Reporter(ServiceProvider):
    """Reports to the requestor on its association, and takes reports of its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reports: dict[str, set[asyncio.Task[None]]] = {}

    async def handle(self, operation: Operation) -> Response:
        """Answer at once; what N-ACTION asks for is reported later."""
        field = operation.command.field
        data = await operation.dataset.read(65536)
        if field is CommandField.N_ACTION_RQ:
            attributes = parse_attributes(data, operation.context.transfer_syntax)
            task = asyncio.create_task(self._report(operation, attributes))
            self._reports.setdefault(operation.association.id, set()).add(task)
            return Response(Status.SUCCESS)
        if field in {CommandField.N_EVENT_REPORT_RQ, CommandField.N_CREATE_RQ}:
            LOG.append(f"{field.name} {operation.command.sop_class_uid}")
            return Response(Status.SUCCESS)
        raise DimseError(Status.UNRECOGNIZED_OPERATION, field.name)

    async def _report(self, operation: Operation, attributes: dict) -> None:
        uid = operation.command.sop_instance_uid or ""
        await asyncio.sleep(0.05)  # until the answer has left
        response, _ = await operation.link.n_event_report(STORAGE_COMMITMENT, uid, 1, attributes)
        transaction = "".join(texts(attributes, TRANSACTION_UID))
        LOG.append(f"reported {transaction} {response.status:04X}")
        await asyncio.sleep(60)

    async def association_accepted(self, link: Link) -> None:
        """Note that there is one."""
        LOG.append(f"accepted: {link.association.origin.calling_ae_title} {link.has_ended}")

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """End what still runs for the association."""
        LOG.append(f"ended: {reason}")
        tasks = self._reports.pop(association.id, set())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@hookimpl
def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
    """Return the provider: SCP of both SOP classes, and SCU of reports about the first."""
    support = {
        STORAGE_COMMITMENT: SopClassSupport(scu=True),
        GRAYSCALE_PRINT_META: SopClassSupport(),
    }
    return [ServiceProviderDescriptor("reporter", support, Reporter)]
