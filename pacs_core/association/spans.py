"""Spans of associations and operations, as a tracer is told of them."""

from pacs_core.contracts import AssociationInfo, Span, SpanValue
from pacs_core.dimse import Command, CommandField, StatusCategory, category

_NAMES = {
    field: field.name.removesuffix("_RQ").removesuffix("_RSP").replace("_", "-")
    for field in CommandField
}


def association_span(association: AssociationInfo) -> dict[str, SpanValue]:
    """Return what there is to say of an association."""
    origin = association.origin
    return {
        "dicom.association": association.id,
        "dicom.calling_ae_title": origin.calling_ae_title,
        "dicom.called_ae_title": origin.called_ae_title,
        "network.peer.address": origin.host,
        "network.peer.port": origin.port,
    }


def operation_span(command: Command) -> tuple[str, dict[str, SpanValue]]:
    """Return the name of an operation as PS3.7 has it, and what there is to say of it."""
    return _NAMES[command.field], {"dicom.sop_class_uid": command.sop_class_uid or ""}


def note_status(span: Span, status: int) -> None:
    """Say with which status an operation has ended (PS3.7 Annex C)."""
    span.set("dicom.status", f"{status:04X}")
    if category(status) is StatusCategory.FAILURE:
        span.fail(f"status {status:04X}")
