"""Unified Procedure Step Information Model - FIND (PS3.4 CC.2.8)."""

from attrs import define

from pacs_core.api.auditing import Details, audit_work
from pacs_core.api.identifiers import AnswerFormat, read_keys
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessAction,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    InvalidKeyError,
    Node,
    Operation,
    Response,
)
from pacs_core.dataset import keyword_of
from pacs_core.dimse import DimseError, Status
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.matching import conditions_of
from pacs_sop_ups.restricting import restrictions_of


@define(eq=False)
class UpsFind:
    """Answers C-FIND with a pending response for each step, the latest first.

    Parameters
    ----------
    node : Node
    config : UpsConfig
    """

    node: Node
    config: UpsConfig

    async def answer(self, operation: Operation) -> Response:
        """Answer a request."""
        query = AuditObject(AuditObjectKind.QUERY, operation.context.abstract_syntax)
        return await audit_work(
            self.node.audit, AuditKind.C_FIND, operation, self._find, objects=(query,)
        )

    async def _find(self, operation: Operation, details: Details) -> Response:
        origin = operation.association.origin
        title, settings = origin.calling_ae_title, self.node.settings
        keys = await read_keys(operation, settings.character_set_of(title))
        details["keys"] = [keyword_of(tag) or f"{tag:08X}" for tag in sorted(keys)]
        try:
            conditions = conditions_of(keys)
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
        count = details["matches"] = 0
        allowed = await restrictions_of(self.node, AccessAction.QUERY, origin, operation.command)
        steps = self.node.find(UnifiedProcedureSteps).search(conditions, restrictions=allowed)
        async with closing(steps) as found:
            async for step in found:
                if operation.cancelled:
                    return Response(Status.CANCEL)
                if count == self.config.max_results:
                    return Response(Status.OUT_OF_RESOURCES, comment=f"More than {count} matches")
                await operation.send_pending(form.encode(step.answered()))
                count += 1
                details["matches"] = count
        return Response(Status.CANCEL if operation.cancelled else Status.SUCCESS)
