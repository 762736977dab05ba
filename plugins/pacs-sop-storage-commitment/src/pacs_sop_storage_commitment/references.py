"""Requests and results of Storage Commitment, as datasets (PS3.4 J.3.2, J.3.3)."""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from attrs import frozen

from pacs_core.dataset import Attributes, MutableAttributes, tag_of, texts
from pacs_core.dimse import DimseError, Status, is_valid_uid

PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""Well-known instance, to which all requests are made (PS3.4 J.3.5)."""

REQUEST: Final = 1
"""Action Type ID of "Request Storage Commitment" (PS3.4 Table J.3-1)."""

TRANSACTION: Final = tag_of("TransactionUID")
_REFERENCED: Final = tag_of("ReferencedSOPSequence")
_FAILED: Final = tag_of("FailedSOPSequence")
ARGUMENTS: Final = frozenset({TRANSACTION, _REFERENCED, _FAILED})
"""What requests and reports are made of."""
_CLASS: Final = tag_of("ReferencedSOPClassUID")
_INSTANCE: Final = tag_of("ReferencedSOPInstanceUID")
_REASON: Final = tag_of("FailureReason")
_RETRIEVE_AE: Final = tag_of("RetrieveAETitle")


class EventType(IntEnum):
    """Event Type ID of a report (PS3.4 Table J.3-2)."""

    SUCCESSFUL = 1
    FAILURES_EXIST = 2


class FailureReason(IntEnum):
    """Why no commitment is given (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


@frozen(order=True)
class Reference:
    """An instance that is to be committed to."""

    sop_class_uid: str
    sop_instance_uid: str


Failures = Mapping[Reference, int]
"""Failure Reason by instance; those that are not named are committed to."""


@frozen
class CommitmentRequest:
    """What N-ACTION asks for."""

    transaction_uid: str
    references: tuple[Reference, ...]


def read_request(attributes: Attributes, most: int) -> CommitmentRequest:
    """Read Action Information (PS3.4 Table J.3-1).

    Parameters
    ----------
    attributes : Attributes
    most : int
        Instances that it may name.

    Raises
    ------
    DimseError
        0115H: something is missing, or is no UID; 0213H: it names too many.
    """
    uid = _uid(attributes, TRANSACTION, "Transaction UID")
    items = [item for item in attributes.get(_REFERENCED, ()) if isinstance(item, Mapping)]
    if not items:
        raise _invalid(_REFERENCED, "Referenced SOP Sequence is missing or empty")
    if len(items) > most:
        comment = f"{len(items)} instances are more than the {most} of one request"
        raise DimseError(Status.RESOURCE_LIMITATION, comment)
    return CommitmentRequest(uid, tuple(dict.fromkeys(map(_reference, items))))


def write_request(request: CommitmentRequest) -> Attributes:
    """Return Action Information."""
    return {TRANSACTION: (request.transaction_uid,), _REFERENCED: _items(request.references)}


def write_report(
    request: CommitmentRequest, failures: Failures, ae_title: str
) -> tuple[EventType, Attributes]:
    """Return Event Type ID and Event Information (PS3.4 Table J.3-2).

    Parameters
    ----------
    request : CommitmentRequest
    failures : Failures
    ae_title : str
        From which the instances can be retrieved.
    """
    committed = [each for each in request.references if each not in failures]
    report: MutableAttributes = {
        TRANSACTION: (request.transaction_uid,),
        _RETRIEVE_AE: (ae_title,),
    }
    if committed:
        report[_REFERENCED] = _items(committed)
    if not failures:
        return EventType.SUCCESSFUL, report
    report[_FAILED] = tuple(
        {**item, _REASON: (str(int(reason)),)}
        for item, reason in zip(_items(failures), failures.values(), strict=True)
    )
    return EventType.FAILURES_EXIST, report


def read_report(attributes: Attributes) -> tuple[str, Sequence[Reference], Failures]:
    """Read Event Information: the transaction, what is committed to, and what is not.

    Raises
    ------
    DimseError
        0115H: something is missing, or is no UID.
    """
    uid = _uid(attributes, TRANSACTION, "Transaction UID")
    committed = [_reference(item) for item in _sequence(attributes, _REFERENCED)]
    failures = {_reference(item): _reason(item) for item in _sequence(attributes, _FAILED)}
    return uid, committed, failures


def _sequence(attributes: Attributes, tag: int) -> list[Attributes]:
    return [item for item in attributes.get(tag, ()) if isinstance(item, Mapping)]


def _reference(item: Attributes) -> Reference:
    return Reference(
        _uid(item, _CLASS, "Referenced SOP Class UID"),
        _uid(item, _INSTANCE, "Referenced SOP Instance UID"),
    )


def _reason(item: Attributes) -> int:
    value = "".join(texts(item, _REASON)[:1])
    return int(value) if value.isdigit() else int(FailureReason.PROCESSING_FAILURE)


def _items(references: Iterable[Reference]) -> tuple[Attributes, ...]:
    return tuple(
        {_CLASS: (each.sop_class_uid,), _INSTANCE: (each.sop_instance_uid,)} for each in references
    )


def _uid(attributes: Attributes, tag: int, name: str) -> str:
    values = texts(attributes, tag)
    if len(values) != 1 or not is_valid_uid(values[0]):
        shown = "\\".join(values)[:64]
        raise _invalid(tag, f"{name} is no UID: {shown!a}" if shown else f"{name} is missing")
    return values[0]


def _invalid(tag: int, comment: str) -> DimseError:
    return DimseError(Status.INVALID_ARGUMENT_VALUE, comment, (tag,))
