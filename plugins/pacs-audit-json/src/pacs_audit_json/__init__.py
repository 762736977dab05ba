"""Audit sink of pacs-core: one JSON line per event, to a rotating file or stdout."""

from pacs_audit_json.config import AuditJsonConfig
from pacs_core.contracts import AuditSink, AuditSinkDescriptor, Setup
from pacs_core.plugins import hookimpl

__all__ = ["AuditJsonConfig", "pacs_audit_sinks", "pacs_config"]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.audit-json]``."""
    return AuditJsonConfig


@hookimpl
def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
    """Return the sink ``json``."""
    required = setup.config(AuditJsonConfig).required
    return [AuditSinkDescriptor("json", _create, required=required)]


def _create(setup: Setup) -> AuditSink:
    from pacs_audit_json.sink import create

    return create(setup.config(AuditJsonConfig), setup.settings.data_directory)
