"""Spans of what the kernel tells observers of: operations that it asks for, stages of storing."""

import time
from typing import Final

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from pacs_core.contracts import (
    IngestObserver,
    ObservedIngest,
    ObservedOperation,
    OperationEnd,
    OperationObserver,
    SpanValue,
)
from pacs_core.dimse import StatusCategory, category
from pacs_tracing.spans import parent_context

_SECOND: Final = 1_000_000_000


@define(eq=False)
class OperationSpans(OperationObserver):
    """A span for each operation that this node asks of a peer.

    Those that peers ask for are told of by the kernel, in the task that performs them.
    """

    tracer: Tracer
    uids: bool
    _begun: dict[int, tuple[int, Context]] = field(factory=dict)

    def began(self, operation: ObservedOperation) -> None:
        """Remember when, and of what it is a part: its end may be told in another task."""
        if operation.is_invoked_here:
            self._begun[id(operation)] = time.time_ns(), parent_context()

    def ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """Make the span."""
        begun = self._begun.pop(id(operation), None)
        if begun is None:
            return
        began, context = begun
        command = operation.command
        name = command.field.name.removesuffix("_RQ").replace("_", "-")
        attributes: dict[str, SpanValue] = {
            "dicom.sop_class_uid": command.sop_class_uid or "",
            "dicom.bytes_sent": end.bytes_sent,
            "dicom.bytes_received": end.bytes_received,
        }
        if self.uids and command.sop_instance_uid:
            attributes["dicom.sop_instance_uid"] = command.sop_instance_uid
        span = self.tracer.start_span(
            name, context, kind=SpanKind.CLIENT, attributes=attributes, start_time=began
        )
        if end.status is None:
            span.set_status(Status(StatusCode.ERROR, "the association ended"))
        else:
            span.set_attribute("dicom.status", f"{end.status:04X}")
            if category(end.status) is StatusCategory.FAILURE:
                span.set_status(Status(StatusCode.ERROR, f"status {end.status:04X}"))
        span.end()


@define(eq=False)
class IngestSpans(IngestObserver):
    """A span for each instance that is stored, and for each stage of that.

    A stage that takes turns with another, as receiving does with writing, lasts from its first
    beginning to its last end; ``busy`` is how many seconds of it were spent in it.
    """

    tracer: Tracer
    uids: bool

    def ingested(self, ingest: ObservedIngest) -> None:
        """Make the spans: they are parts of the operation or the request that is performed."""
        # From the clock by which they were taken to that by which spans are told.
        offset = time.time_ns() - int(time.monotonic() * _SECOND)
        whole = self.tracer.start_span(
            "ingest", parent_context(), start_time=offset + int(ingest.began * _SECOND)
        )
        if whole.is_recording():
            if ingest.result is not None:
                whole.set_attribute("pacs.outcome", ingest.result.outcome.value)
                whole.set_attribute("pacs.bytes", ingest.result.instance.size)
            if ingest.error is not None:
                whole.set_status(Status(StatusCode.ERROR, type(ingest.error).__name__))
            if self.uids:
                whole.set_attribute("dicom.sop_instance_uid", ingest.sop_instance_uid)
            context = set_span_in_context(whole)
            for each in ingest.stages:
                span = self.tracer.start_span(
                    f"ingest {each.stage.value}",
                    context,
                    start_time=offset + int(each.began * _SECOND),
                    attributes={"busy": each.seconds},
                )
                span.end(offset + int(each.ended * _SECOND))
        whole.end(offset + int(ingest.ended * _SECOND))
