"""The kernel's spans as those of OpenTelemetry.

Theory of operation
-------------------
What a span is a part of is said by the correlation of the running task: its `trace_parent`. If that
is what the running span of this node has put there, the span is its child; else it came from
outside, by the header of a request or with a job, and the parent is remote. A span puts its own
there, so that the log has the ID of its trace, and jobs and requests to other servers lead back to
it.

A job is no part of what has asked for it, which may have ended days ago: its span begins a trace of
its own, with a link to that.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from attrs import evolve, field, frozen
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span as RunningSpan,
    SpanContext,
    SpanKind as Kind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer as SdkTracer,
    set_span_in_context,
)

from pacs_core.contracts import Span, SpanKind, SpanValue, Tracer, correlated, current_correlation

_KINDS: Final = {
    SpanKind.INTERNAL: Kind.INTERNAL,
    SpanKind.SERVER: Kind.SERVER,
    SpanKind.CLIENT: Kind.CLIENT,
    SpanKind.CONSUMER: Kind.CONSUMER,
}
_NOWHERE: Final = Context()

_running: ContextVar[tuple[str, Context]] = ContextVar("pacs_tracing", default=("", _NOWHERE))
"""The ``traceparent`` of the running span, and a context with it."""


def parent_context() -> Context:
    """Return the context that a span begins in."""
    parent = current_correlation().trace_parent
    running, context = _running.get()
    if parent == running:
        return context
    remote = read_parent(parent)
    return _NOWHERE if remote is None else set_span_in_context(NonRecordingSpan(remote), _NOWHERE)


def read_parent(parent: str) -> SpanContext | None:
    """Return the context that a well-formed ``traceparent`` names; None for an empty one."""
    if not parent:
        return None
    _, trace, span, flags = parent.split("-")
    sampled = TraceFlags(int(flags, 16) & TraceFlags.SAMPLED)
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=sampled)


def write_parent(context: SpanContext) -> str:
    """Return a context as a ``traceparent`` (W3C Trace Context §3.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@frozen(eq=False)
class _Span(Span):
    span: RunningSpan

    def set(self, name: str, value: SpanValue) -> None:
        """See base."""
        self.span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """See base."""
        self.span.set_status(Status(StatusCode.ERROR, reason))


@frozen(eq=False)
class OtelTracer(Tracer):
    """Begins and ends spans.

    Attributes
    ----------
    tracer : opentelemetry.trace.Tracer
    """

    tracer: SdkTracer = field()

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, SpanValue]
    ) -> Iterator[Span]:
        """See base."""
        correlation = current_correlation()
        links: list[Link] = []
        if kind is SpanKind.CONSUMER:
            cause = read_parent(correlation.trace_parent)
            links, context = ([Link(cause)] if cause else []), _NOWHERE
        else:
            context = parent_context()
        span = self.tracer.start_span(
            name, context, kind=_KINDS[kind], attributes=attributes, links=links
        )
        own = write_parent(span.get_span_context())
        token = _running.set((own, set_span_in_context(span, _NOWHERE)))
        try:
            with correlated(evolve(correlation, trace_parent=own)):
                yield _Span(span)
        except BaseException as error:
            # What is cancelled has not failed; what was raised may hold what no span should.
            if isinstance(error, Exception):
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            span.end()
            try:
                _running.reset(token)
            except ValueError:  # an async generator that another task closes
                _running.set(("", _NOWHERE))
