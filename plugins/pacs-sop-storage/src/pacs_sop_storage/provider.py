"""The Storage service class as SCP (PS3.4 Annex B)."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from pacs_core.contracts import (
    Archive,
    AuditEvent,
    AuditKind,
    AuditTrail,
    AuditValue,
    IngestResult,
    Operation,
    Outcome,
    Response,
    ServiceProvider,
    dimse_error_of,
)
from pacs_core.dataset import keyword_of
from pacs_core.dimse import Command, CommandField, DimseError, Status, is_valid_uid
from pacs_sop_storage.compression import Compression

_AFFECTED_SOP_CLASS_UID: Final = 0x0000_0002
_DATASET_TYPE: Final = 0x0000_0800
_AFFECTED_SOP_INSTANCE_UID: Final = 0x0000_1000

_OUTCOMES: Final[Mapping[int, Outcome]] = {
    Status.SUCCESS: Outcome.SUCCESS,
    Status.DATASET_DOES_NOT_MATCH_SOP_CLASS_WARNING: Outcome.WARNING,
    Status.COERCION_OF_DATA_ELEMENTS: Outcome.WARNING,
}
_STORED: Final = Response(Status.SUCCESS)


class Storage(ServiceProvider):
    """Hands C-STORE requests to the archive.

    Parameters
    ----------
    archive : Archive
    audit : AuditTrail
    compression : Compression, optional
        Stands before the archive.
    """

    applies_restrictions: ClassVar[bool] = True

    def __init__(
        self, archive: Archive, audit: AuditTrail, compression: Compression | None = None
    ) -> None:
        self._archive = archive
        self._compression = compression
        self._audit = audit

    async def handle(self, operation: Operation) -> Response:
        """Store the instance and say 0000H, once it is durable and recorded.

        What is stored but cannot be converted, for peers that need another transfer syntax, is
        answered B007H with the reason, and what an ingest filter has changed B000H (PS3.4 Table
        B.2-1).

        Raises
        ------
        DimseError
            It was not stored.
        AuditFailedError
            It could not be recorded.
        """
        try:
            _check(operation)
            result = await self._ingest(operation)
        except Exception as error:
            known = dimse_error_of(error, operation.command.field)
            if known is None:
                reason = type(error).__name__
                await self._record(operation, Status.PROCESSING_FAILURE, {"reason": reason})
                raise
            await self._record(operation, known.status, {"reason": known.comment})
            raise known from error
        status, comment = _status_for(result)
        await self._record(operation, status, _stored(result))
        return Response(status, comment=comment) if status else _STORED

    async def _ingest(self, operation: Operation) -> IngestResult:
        command, origin = operation.command, operation.association.origin
        archive = self._archive.on_behalf_of(origin)
        compression = self._compression
        ingest = partial(compression.ingest, archive) if compression else archive.ingest
        return await ingest(
            operation.dataset,
            transfer_syntax_uid=operation.context.transfer_syntax,
            sop_class_uid=command.affected_sop_class_uid or "",
            sop_instance_uid=command.affected_sop_instance_uid or "",
            origin=origin,
        )

    async def _record(
        self, operation: Operation, status: int, details: Mapping[str, AuditValue]
    ) -> None:
        outcome = _OUTCOMES.get(status, Outcome.FAILURE)
        command: Command = operation.command
        announced: dict[str, AuditValue] = {
            "sop_class_uid": command.affected_sop_class_uid,
            "sop_instance_uid": command.affected_sop_instance_uid,
            "transfer_syntax_uid": operation.context.transfer_syntax,
        }
        event = AuditEvent(
            AuditKind.C_STORE,
            outcome,
            operation.association.origin,
            {**announced, **details, "status": f"{status:04X}"},
        )
        await self._audit.record(event)


def _check(operation: Operation) -> None:
    """Raise the status that the command alone deserves (PS3.7 §9.1.1.1.9)."""
    command = operation.command
    if command.field is not CommandField.C_STORE_RQ:
        raise DimseError(
            Status.UNRECOGNIZED_OPERATION,
            f"Storage knows C-STORE only, not {command.field.name}",
        )
    # A data set that does not suit its class is A9xx; a class that does not suit its context is
    # one that this context does not support (PS3.7 §9.1.1.1.9).
    if command.affected_sop_class_uid != operation.context.abstract_syntax:
        raise DimseError(
            Status.SOP_CLASS_NOT_SUPPORTED,
            "SOP class is not that of the presentation context",
            (_AFFECTED_SOP_CLASS_UID,),
        )
    if not is_valid_uid(command.affected_sop_instance_uid or ""):
        raise DimseError(
            Status.INVALID_SOP_INSTANCE,
            "Affected SOP Instance UID is not a UID",
            (_AFFECTED_SOP_INSTANCE_UID,),
        )
    if not command.has_dataset:
        raise DimseError(
            Status.CANNOT_UNDERSTAND, "C-STORE came without a data set", (_DATASET_TYPE,)
        )


def _status_for(result: IngestResult) -> tuple[int, str]:
    if not result.obstacle:
        if result.coerced:
            names = ", ".join(map(keyword_of, result.coerced))
            return Status.COERCION_OF_DATA_ELEMENTS, f"Coerced: {names}"
        return Status.SUCCESS, ""
    comment = f"Stored, cannot be converted: {result.obstacle}"
    return Status.DATASET_DOES_NOT_MATCH_SOP_CLASS_WARNING, comment


def _stored(result: IngestResult) -> dict[str, AuditValue]:
    instance = result.instance
    stored: dict[str, AuditValue] = {
        "result": result.outcome.value,
        "study_instance_uid": instance.identity.study_instance_uid,
        "series_instance_uid": instance.identity.series_instance_uid,
        "size": instance.size,
    }
    if result.oddities:
        stored["oddities"] = result.oddities
    if result.obstacle:
        stored["cannot_be_converted"] = result.obstacle
    if result.coerced:
        stored["coerced"] = tuple(f"{tag:08X}" for tag in result.coerced)
    return stored
