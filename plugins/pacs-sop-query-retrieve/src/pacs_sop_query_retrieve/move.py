"""C-MOVE (PS3.4 C.4.2)."""

from typing import ClassVar

from pacs_core.api.auditing import Details
from pacs_core.contracts import (
    AccessAction,
    AccessTarget,
    Archive,
    AuditKind,
    Operation,
    Peer,
    Response,
    Sending,
)
from pacs_core.dimse import CommandField, DimseError, Priority, Status
from pacs_sop_query_retrieve.identifier import Identifier
from pacs_sop_query_retrieve.models import InformationModel
from pacs_sop_query_retrieve.retrieve import Matches, RetrieveProvider


class Move(RetrieveProvider):
    """Answers C-MOVE with sub-operations on associations with the destination."""

    command: ClassVar[CommandField] = CommandField.C_MOVE_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_MOVE

    async def _perform(
        self,
        operation: Operation,
        model: InformationModel,
        identifier: Identifier,
        details: Details,
    ) -> Response:
        details["destination"] = operation.command.move_destination
        self._peer(operation)  # an unknown one is refused (A801H) before anything is searched
        return await super()._perform(operation, model, identifier, details)

    def _archive(self, operation: Operation) -> Archive:
        return self._node.archive.on_behalf_of(
            operation.association.origin,
            reading=AccessAction.MOVE,
            what=AccessTarget(destination=operation.command.move_destination or ""),
        )

    def _peer(self, operation: Operation) -> Peer:
        title = operation.command.move_destination or ""
        peer = self._node.settings.peer(title)
        if peer is None:
            raise DimseError(
                Status.MOVE_DESTINATION_UNKNOWN, f"No peer is configured with AE title {title}"
            )
        return peer

    def _begin_sending(self, operation: Operation, matches: Matches) -> Sending:
        command = operation.command
        caller = operation.association.origin.calling_ae_title
        return self._node.sender.send(
            matches.archive.instances(matches.query),
            self._peer(operation),
            archive=matches.archive,
            forms=matches.forms,
            priority=Priority.MEDIUM if command.priority is None else command.priority,
            move_originator=(caller, command.message_id or 0),
            stop=lambda: operation.cancelled,
        )
