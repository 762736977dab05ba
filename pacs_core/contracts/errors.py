"""The one table of errors: what a peer is answered when an archive, a guard or a conversion fails.

Whatever door an error leaves by, DIMSE or HTTP, this table says which status it becomes, so that
no two doors disagree. An error has the row of the nearest of its classes that has one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from pacs_core.contracts.access import AccessDeniedError
from pacs_core.contracts.audit import AuditFailedError
from pacs_core.contracts.availability import NotOnlineError
from pacs_core.contracts.corrections import CorrectionError, CorrectionNotFoundError
from pacs_core.contracts.deidentifying import DeidentificationRefusedError
from pacs_core.contracts.deletion import DeletionError, InstanceHeldError
from pacs_core.contracts.frames import FrameNotFoundError, UnreadableFramesError
from pacs_core.contracts.ingest import (
    DuplicateInstanceError,
    IdentityMismatchError,
    IngestError,
    InvalidInstanceError,
    OutOfResourcesError,
)
from pacs_core.contracts.ingest_filter import IngestFilterError, RejectedInstanceError
from pacs_core.contracts.instance import InstanceNotFoundError
from pacs_core.contracts.object_store import (
    DamagedObjectError,
    ObjectNotFoundError,
    StorageFullError,
)
from pacs_core.contracts.rendering import RenderingError
from pacs_core.contracts.transcoding import TranscodingError
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_core.query.keys import InvalidKeyError


@frozen
class ErrorStatus:
    """What an error is to each service.

    Attributes
    ----------
    store : int
        Of C-STORE (PS3.4 Table B.2-1, PS3.7 §9.1.1.1.9), and so Failure Reason (0008,1197) of an
        instance in STOW-RS (PS3.18 I.2).
    find : int
        Of C-FIND (PS3.4 Table C.4-1).
    retrieve : int
        Of C-MOVE and C-GET as a whole (PS3.4 Tables C.4-2 and C.4-3); one instance that fails is
        a failed sub-operation.
    normalized : int
        Of the DIMSE-N services, and of C-ECHO (PS3.7 Annex C).
    http : int
        Of an HTTP response (RFC 9110, PS3.18 §8.5).
    comment : str
        Error Comment (0000,0902); empty for the error's own text.
    """

    store: int
    find: int
    retrieve: int
    normalized: int
    http: int
    comment: str = ""


def _failure(status: int, http: int, comment: str = "", **other: int) -> ErrorStatus:
    """Return a row with one status for all services but `other`."""
    services = dict.fromkeys(("store", "find", "retrieve", "normalized"), status)
    return ErrorStatus(**{**services, **other}, http=http, comment=comment)


_FAILURE: Final = Status.PROCESSING_FAILURE

ERRORS: Final[Mapping[type[Exception], ErrorStatus]] = MappingProxyType(
    {
        AccessDeniedError: _failure(Status.NOT_AUTHORIZED, 403),
        IngestError: _failure(_FAILURE, 500),
        InvalidInstanceError: _failure(_FAILURE, 400, store=Status.CANNOT_UNDERSTAND),
        IdentityMismatchError: _failure(
            _FAILURE, 409, store=Status.DATASET_DOES_NOT_MATCH_SOP_CLASS
        ),
        RejectedInstanceError: _failure(_FAILURE, 409),
        IngestFilterError: _failure(_FAILURE, 500),
        DuplicateInstanceError: _failure(Status.DUPLICATE_SOP_INSTANCE, 409),
        OutOfResourcesError: _failure(
            Status.OUT_OF_RESOURCES,
            503,
            retrieve=Status.OUT_OF_RESOURCES_SUBOPERATIONS,
            normalized=Status.RESOURCE_LIMITATION,
        ),
        StorageFullError: _failure(
            Status.OUT_OF_RESOURCES,
            507,
            retrieve=Status.OUT_OF_RESOURCES_SUBOPERATIONS,
            normalized=Status.RESOURCE_LIMITATION,
        ),
        InstanceNotFoundError: _failure(_FAILURE, 404, normalized=Status.NO_SUCH_SOP_INSTANCE),
        ObjectNotFoundError: _failure(_FAILURE, 404, normalized=Status.NO_SUCH_SOP_INSTANCE),
        NotOnlineError: _failure(
            _FAILURE,
            503,
            store=Status.OUT_OF_RESOURCES,
            retrieve=Status.OUT_OF_RESOURCES_SUBOPERATIONS,
        ),
        FrameNotFoundError: _failure(_FAILURE, 404),
        UnreadableFramesError: _failure(_FAILURE, 406),
        InvalidKeyError: _failure(
            Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, 400, normalized=_FAILURE
        ),
        DeletionError: _failure(_FAILURE, 500),
        InstanceHeldError: _failure(_FAILURE, 409),
        DamagedObjectError: _failure(_FAILURE, 500),
        CorrectionError: _failure(_FAILURE, 409),
        CorrectionNotFoundError: _failure(_FAILURE, 404),
        DeidentificationRefusedError: _failure(_FAILURE, 409),
        TranscodingError: _failure(_FAILURE, 406),
        RenderingError: _failure(_FAILURE, 406),
        AuditFailedError: _failure(_FAILURE, 503, "Cannot be audited"),
    }
)
"""The table, by class of error."""

_SERVICES: Final[Mapping[CommandField, str]] = MappingProxyType(
    {
        CommandField.C_STORE_RQ: "store",
        CommandField.C_FIND_RQ: "find",
        CommandField.C_MOVE_RQ: "retrieve",
        CommandField.C_GET_RQ: "retrieve",
    }
)


def find_error_status(error: BaseException) -> ErrorStatus | None:
    """Return the row of an error; None if the table does not know it."""
    return next((ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS), None)


def dimse_error_of(error: BaseException, field: CommandField) -> DimseError | None:
    """Return the answer to a request that failed; None if it is an internal error.

    Parameters
    ----------
    error : BaseException
    field : CommandField
        Of the request.
    """
    if isinstance(error, DimseError):
        return error
    row = find_error_status(error)
    if row is None:
        return None
    if isinstance(error, RejectedInstanceError) and field is CommandField.C_STORE_RQ:
        return DimseError(error.status, str(error))
    return DimseError(getattr(row, _SERVICES.get(field, "normalized")), row.comment or str(error))


def http_status_of(error: BaseException) -> int:
    """Return the status of an HTTP response about an error; 500 if the table does not know it."""
    row = find_error_status(error)
    return row.http if row else 500
