"""The SDK of OpenTelemetry as it is configured: what is kept, where it waits, where it goes."""

from importlib.metadata import version
from typing import Final
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from pacs_core.contracts import NodeSettings, WorkerInfo
from pacs_tracing.config import TracingConfig

# Theory of operation
#
# A span that has ended is put into a bounded queue, and a thread of the SDK sends what has
# gathered, every few seconds or when there is much. When the collector is away, the thread tries
# again for as long as `timeout` says, and then gives up what it has in its hands; meanwhile the
# queue fills, and what comes beyond is dropped. So a collector costs spans when it is away, and
# never a request or more memory.

_BATCH: Final = 512
_LONGEST: Final = 256
"""Characters of a value: peers choose some of them."""


def make_provider(
    config: TracingConfig, settings: NodeSettings, worker: WorkerInfo
) -> TracerProvider:
    """Return what makes tracers whose spans are sent to the collector.

    Parameters
    ----------
    config : TracingConfig
    settings : NodeSettings
    worker : WorkerInfo
    """
    ratio = TraceIdRatioBased(config.ratio)
    callers = {} if config.trust_callers else {
        "remote_parent_sampled": ratio,
        "remote_parent_not_sampled": ratio,
    }  # fmt: skip
    provider = TracerProvider(
        sampler=ParentBased(ratio, **callers),
        resource=Resource.create(
            {
                "service.name": config.service,
                "service.version": version("pacs-core"),
                "service.instance.id": str(uuid4()),
                "pacs.ae_title": settings.ae_title,
                "pacs.worker": worker.slot,
            }
        ),
        span_limits=SpanLimits(max_span_attribute_length=_LONGEST),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(
        config.endpoint,
        certificate_file=str(config.ca) if config.ca else None,
        headers={name: secret.reveal() for name, secret in config.headers.items()},
        timeout=config.timeout,
    )
    provider.add_span_processor(
        BatchSpanProcessor(exporter, config.queue, max_export_batch_size=_BATCH)
    )
    return provider
