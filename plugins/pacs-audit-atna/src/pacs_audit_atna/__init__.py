"""Audit sink of pacs-core: DICOM audit messages, or FHIR AuditEvents, to a collector."""

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_core.contracts import AuditSink, AuditSinkDescriptor, Setup
from pacs_core.plugins import hookimpl

__all__ = ["AuditAtnaConfig", "pacs_audit_sinks", "pacs_config"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.audit-atna]``."""
    return AuditAtnaConfig


@hookimpl
def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
    """Return the sink, if a collector is configured."""
    config = setup.config(AuditAtnaConfig)
    if not config.collector:
        return []
    return [AuditSinkDescriptor("atna", _create, required=config.required)]


def _create(setup: Setup) -> AuditSink:
    from pacs_audit_atna.sink import CollectorSink

    return CollectorSink(setup.config(AuditAtnaConfig), setup.settings)
