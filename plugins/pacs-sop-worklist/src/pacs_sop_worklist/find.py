"""Modality Worklist Information Model - FIND (PS3.4 Annex K)."""

from typing import ClassVar, Final

from pacs_core.api.auditing import Details, audit_work
from pacs_core.api.identifiers import AnswerFormat, read_keys
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessAction,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    InvalidKeyError,
    KeyMatching,
    Node,
    Operation,
    Response,
    ServiceProvider,
    Setup,
)
from pacs_core.dataset import keyword_of
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_worklist.config import WorklistConfig
from pacs_sop_worklist.interface import Worklist
from pacs_sop_worklist.restricting import restrictions_of
from pacs_sop_worklist.steps import CHARACTER_SET

# Date and time of the start are one range where both are given as ranges (PS3.4 Table K.6-1,
# Scheduled Procedure Step Start Date), without any negotiation.
_MATCHING: Final = KeyMatching(combined_date_time=True)


class WorklistFind(ServiceProvider):
    """Answers C-FIND with a pending response for each step, in the order of their start.

    Parameters
    ----------
    node : Node
    config : WorklistConfig
    """

    applies_restrictions: ClassVar[bool] = True

    def __init__(self, node: Node, config: WorklistConfig) -> None:
        self._node = node
        self._config = config

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next request on."""
        self._config = setup.config(WorklistConfig)

    async def handle(self, operation: Operation) -> Response:
        """Answer C-FIND, and 0211H to any other request."""
        if operation.command.field is not CommandField.C_FIND_RQ:
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"Expected C-FIND-RQ, not {operation.command.field.name}",
            )
        query = AuditObject(AuditObjectKind.QUERY, operation.context.abstract_syntax)
        return await audit_work(
            self._node.audit, AuditKind.C_FIND, operation, self._find, objects=(query,)
        )

    async def _find(self, operation: Operation, details: Details) -> Response:
        origin = operation.association.origin
        title = origin.calling_ae_title
        settings = self._node.settings
        keys = await read_keys(operation, settings.character_set_of(title))
        details["keys"] = [keyword_of(tag) or f"{tag:08X}" for tag in sorted(keys)]
        try:
            conditions = _MATCHING.conditions(keys, keys.keys() - {CHARACTER_SET})
        except InvalidKeyError as error:
            raise DimseError(
                Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, error.comment, (error.tag,)
            ) from error
        peer = settings.peer(title)
        form = AnswerFormat(
            keys,
            operation.context.transfer_syntax,
            peer.default_character_set if peer else (),
        )
        station = title if self._config.own_station_only else ""
        count = details["matches"] = 0
        restrictions = await restrictions_of(
            self._node, AccessAction.QUERY, origin, operation.command
        )
        worklist = self._node.find(Worklist)
        steps = worklist.search(conditions, station=station, restrictions=restrictions)
        async with closing(steps) as found:
            async for listed in found:
                if operation.cancelled:
                    return Response(Status.CANCEL)
                if count == self._config.max_results:
                    return Response(Status.OUT_OF_RESOURCES, comment=f"More than {count} matches")
                await operation.send_pending(form.encode(listed.step.answered()))
                count += 1
                details["matches"] = count
        return Response(Status.CANCEL if operation.cancelled else Status.SUCCESS)
