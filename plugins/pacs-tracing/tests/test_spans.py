"""What a span is a part of (W3C Trace Context §3.2), and what becomes of it."""

from types import SimpleNamespace

import anyio
import pytest
from attrs import evolve
from hypothesis import given, strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags
from pacs_tracing.config import TracingConfig
from pacs_tracing.exporting import make_provider
from pacs_tracing.spans import OtelTracer, read_parent, write_parent

from pacs_core.contracts import (
    Correlation,
    NodeSettings,
    SpanKind,
    Tracing,
    WorkerInfo,
    correlated,
    current_correlation,
)

pytestmark = pytest.mark.anyio
TRACE = "ab" * 16
PARENT = f"00-{TRACE}-{'cd' * 8}-01"


@pytest.fixture
def traced():
    """A node's tracing, and what has ended."""
    return make(TracerProvider(shutdown_on_exit=False))


def make(provider):
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracing = Tracing()
    tracing.use(OtelTracer(provider.get_tracer("test")))
    return SimpleNamespace(tracing=tracing, ended=kept.get_finished_spans)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([0, 1]))
def test_a_parent_is_read_as_it_was_written(trace, span, flags):
    context = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags))
    assert read_parent(write_parent(context)) == context


def test_nobody_who_traces_costs_no_span():
    tracing = Tracing()
    assert not tracing
    with tracing.span("a") as first, tracing.span("b") as second:
        first.set("x", 1)
        first.fail("y")
    assert first is second


async def test_tasks_and_threads_belong_to_the_span_that_began_them(traced):
    def deep():
        with traced.tracing.span("thread"):
            pass

    async def task():
        with traced.tracing.span("task"):
            await anyio.to_thread.run_sync(deep)

    with correlated(Correlation("r-1", PARENT)):
        with traced.tracing.span("request", SpanKind.SERVER):
            inner = current_correlation()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(task)
        assert current_correlation().trace_parent == PARENT
    spans = {each.name: each for each in traced.ended()}
    assert spans["request"].parent.span_id == int("cd" * 8, 16)
    assert spans["request"].parent.is_remote
    assert spans["task"].parent.span_id == spans["request"].context.span_id
    assert spans["thread"].parent.span_id == spans["task"].context.span_id
    assert {each.context.trace_id for each in spans.values()} == {int(TRACE, 16)}
    assert inner.id == "r-1"
    assert inner.trace_parent == write_parent(spans["request"].context)


def test_a_job_begins_a_trace_that_links_to_its_cause(traced):
    span = traced.tracing.span
    with correlated(Correlation("r-1", PARENT)), span("job", SpanKind.CONSUMER), span("step"):
        pass
    step, job = traced.ended()
    assert job.parent is None
    assert job.context.trace_id != int(TRACE, 16)
    assert [each.context.trace_id for each in job.links] == [int(TRACE, 16)]
    assert step.parent.span_id == job.context.span_id


def test_what_is_raised_is_named_and_not_told(traced):
    with pytest.raises(ValueError, match="Doe"), traced.tracing.span("a"):
        raise ValueError("Doe^John")
    with traced.tracing.span("b") as span:
        span.fail("status A700")
    first, second = traced.ended()
    assert first.status.status_code is StatusCode.ERROR
    assert first.attributes["error.type"] == "ValueError"
    assert "Doe" not in first.to_json()
    assert second.status.description == "status A700"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"ratio": 1.0}, {"01": True, "00": True}),
        ({"ratio": 0.0}, {"01": False, "00": False}),
        ({"ratio": 0.0, "trust_callers": True}, {"01": True, "00": False}),
    ],
)
def test_callers_decide_only_where_they_are_trusted(given, kept):
    config = TracingConfig("http://127.0.0.1:9/v1/traces", **given)
    provider = make_provider(config, NodeSettings(), WorkerInfo())
    traced = make(provider)
    for flags, expected in kept.items():
        before = len(traced.ended())
        caller, span = Correlation("r", f"{PARENT[:-2]}{flags}"), traced.tracing.span
        with correlated(caller), span("request"), span("part"):
            pass
        assert len(traced.ended()) - before == (2 if expected else 0), flags
    provider.shutdown()


def test_a_long_value_is_cut():
    config = TracingConfig("http://127.0.0.1:9/v1/traces")
    provider = make_provider(config, NodeSettings(), WorkerInfo())
    traced = make(provider)
    with traced.tracing.span("a", attributes={"given": "x" * 10_000}):
        pass
    assert len(traced.ended()[0].attributes["given"]) == 256
    provider.shutdown()


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://h/x", "http:///v1"])
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(ValueError, match="write it as"):
        TracingConfig(endpoint)
    assert evolve(TracingConfig(), endpoint="https://h/v1/traces")
