"""C-GET (PS3.4 C.4.3)."""

from typing import ClassVar

from pacs_core.contracts import AuditKind, Operation, Sending
from pacs_core.dimse import CommandField
from pacs_sop_query_retrieve.retrieve import Matches, RetrieveProvider


class Get(RetrieveProvider):
    """Answers C-GET with sub-operations on the same association."""

    command: ClassVar[CommandField] = CommandField.C_GET_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_GET

    def _begin_sending(self, operation: Operation, matches: Matches) -> Sending:
        archive = matches.archive
        instances = archive.instances(matches.query)
        return self._node.sender.send_back(
            instances, operation, archive=archive, stop=lambda: operation.cancelled
        )
