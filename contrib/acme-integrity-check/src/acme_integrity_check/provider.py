"""The service: an N-ACTION has the objects of a study read again."""

from typing import ClassVar, Final

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditValue,
    Level,
    Node,
    Operation,
    Outcome,
    Query,
    Response,
    ServiceProvider,
    SingleValue,
)
from pacs_core.dataset import (
    Attributes,
    MalformedDataset,
    encode_attributes,
    parse_attributes,
    tag_of,
    texts,
)
from pacs_core.dimse import CommandField, DimseError, Status

from acme_integrity_check.checking import Report, check
from acme_integrity_check.config import Config

INTEGRITY_CHECK: Final = "2.25.128981730335312602298595505545341239204"
"""SOP Class UID, made from a UUID (PS3.5 §B.2)."""

CHECKER: Final = "2.25.314726980211875613270483361552098714521"
"""The well-known SOP Instance on which actions are requested."""

CHECK_STUDY: Final = 1
"""Action Type ID: check a study."""

_STUDY: Final = tag_of("StudyInstanceUID")
_MAX_INFORMATION: Final = 4096


class IntegrityCheck(ServiceProvider):
    """Answers N-ACTION (PS3.7 §10.1.4).

    Parameters
    ----------
    node : Node
        Its archive is checked, its audit trail is told.
    config : Config
    """

    applies_restrictions: ClassVar[bool] = True

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._config = config

    async def handle(self, operation: Operation) -> Response:
        """Check the study that an N-ACTION names; anything else is refused.

        Raises
        ------
        DimseError
            0112H, 0115H, 0123H or 0211H (PS3.7 §10.1.4.1.10).
        """
        _accept(operation)
        study = await _study(operation)
        query = Query(Level.STUDY, (SingleValue(_STUDY, study),))
        archive = self._node.archive.on_behalf_of(operation.association.origin)
        report = await check(archive, query, self._config.max_failures)
        if not report.checked:
            raise DimseError(Status.INVALID_ARGUMENT_VALUE, f"there is no study {study}")
        await self._record(operation, study, report)
        return _reply(operation, study, report)

    async def _record(self, operation: Operation, study: str, report: Report) -> None:
        outcome = Outcome.WARNING if report.failed else Outcome.SUCCESS
        details: dict[str, AuditValue] = {
            "study": study,
            "checked": report.checked,
            "failed": len(report.failed),
        }
        origin = operation.association.origin
        await self._node.audit.record(AuditEvent(AuditKind.N_SERVICE, outcome, origin, details))


def _accept(operation: Operation) -> None:
    """Refuse what is not the action of this service."""
    command = operation.command
    if command.field is not CommandField.N_ACTION_RQ:
        raise DimseError(Status.UNRECOGNIZED_OPERATION, "this SOP class knows N-ACTION only")
    if command.requested_sop_instance_uid != CHECKER:
        raise DimseError(Status.NO_SUCH_SOP_INSTANCE, f"the SOP instance is {CHECKER}")
    if command.action_type_id != CHECK_STUDY:
        raise DimseError(Status.NO_SUCH_ACTION_TYPE, f"the action type is {CHECK_STUDY}")


async def _study(operation: Operation) -> str:
    """Return the UID of the study that the Action Information names."""
    information = await operation.dataset.read(_MAX_INFORMATION)
    try:
        attributes = parse_attributes(information, operation.context.transfer_syntax)
    except MalformedDataset as error:
        raise DimseError(Status.INVALID_ARGUMENT_VALUE, str(error)) from error
    study = "".join(texts(attributes, _STUDY))
    if not study:
        raise DimseError(Status.INVALID_ARGUMENT_VALUE, "Study Instance UID is missing", (_STUDY,))
    return study


def _reply(operation: Operation, study: str, report: Report) -> Response:
    reply: Attributes = {
        _STUDY: (study,),
        tag_of("NumberOfStudyRelatedInstances"): (str(report.checked),),
        tag_of("FailedSOPSequence"): tuple(report.failed),
    }
    return Response(
        Status.SUCCESS,
        encode_attributes(reply, operation.context.transfer_syntax),
        action_type_id=CHECK_STUDY,
    )
