"""Print Management as SCP (PS3.4 Annex H): requests to the operations that carry them out.

Theory of operation
-------------------
Film sessions and what is in them belong to an association, and go with it (PS3.4 H.4). So they
are kept in memory, but for the pixels, which are in files. Requests of an association are carried
out one after the other in the order in which they came, also where a requestor does not wait for
responses. Few images are decoded at once, whatever number of associations sends them, so that
memory is bounded by their number and `max_image`.

What outlives the association is the print job: see `database_print_queue`.

The operations read images with pydicom, which takes a second and 25 MB. So they are loaded when
somebody prints for the first time.
"""

import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import anyio

from pacs_core.api.auditing import Details, audit_work
from pacs_core.contracts import (
    AssociationInfo,
    AuditKind,
    Node,
    Operation,
    Response,
    ServiceProvider,
)
from pacs_sop_print.associations import OpenAssociations
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.session import Printing

if TYPE_CHECKING:
    from pacs_sop_print.operations import PrintOperations


class PrintProvider(ServiceProvider):
    """Answers for all SOP classes of Print Management.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    def __init__(self, node: Node, config: PrintConfig) -> None:
        self._node = node
        self._config = config
        self._open = node.find(OpenAssociations)
        self._operations: PrintOperations | None = None

    async def handle(self, operation: Operation) -> Response:
        """Carry out a request, and record it."""
        if self._operations is None:
            module = await anyio.to_thread.run_sync(import_module, "pacs_sop_print.operations")
            self._operations = module.PrintOperations(self._node, self._config)
        operations = self._operations
        info = operation.association
        printing = self._open.printing.get(info.id)
        if printing is None:
            printing = Printing(info, operation.link)
            self._open.add(printing)

        async def work(operation: Operation, details: Details) -> Response:
            command = operation.command
            details["service"] = command.field.name
            details["sop_class"] = command.sop_class_uid or ""
            details["sop_instance"] = command.sop_instance_uid or ""
            response = await operations.carry_out(printing, operation)
            if response.affected_sop_instance_uid:
                details["sop_instance"] = response.affected_sop_instance_uid
            return response

        async with printing.lock:
            return await audit_work(self._node.audit, AuditKind.N_SERVICE, operation, work)

    async def association_ended(self, association: AssociationInfo, reason: str) -> None:
        """Forget film sessions, and remove their images."""
        printing = self._open.printing.pop(association.id, None)
        if printing is not None and printing.folder is not None:
            folder = printing.folder
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
