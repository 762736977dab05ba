"""Audit sink of pacs-core: DICOM audit messages, or FHIR AuditEvents, to a collector."""

import stat
from collections.abc import Callable

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_core.contracts import (
    AuditSink,
    AuditSinkDescriptor,
    CliCommandDescriptor,
    Hooks,
    SecurityFinding,
    SecurityStatement,
    Setup,
    Severity,
    is_loopback,
)
from pacs_core.plugins import hookimpl

__all__ = [
    "AuditAtnaConfig",
    "pacs_audit_sinks",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_security_findings",
]


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


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what lets others read events, or lets the node lose them."""
    config = setup.config(AuditAtnaConfig)
    findings = []
    if not config.collector:
        return []
    address = config.address
    if address.scheme not in {"tls", "https"} and not is_loopback(address.hostname or ""):
        what = f"events, which name patients, go to {address.hostname} unencrypted"
        action = "let collector in [plugin.audit-atna] begin with tls:// or https://"
        findings.append(SecurityFinding(Severity.HIGH, what, action))
    if config.when_full == "drop":
        what = "events are dropped when the collector is away for long"
        action = 'set when_full = "fail" in [plugin.audit-atna]'
        findings.append(SecurityFinding(Severity.LOW, what, action))
    if not config.fsync:
        what = "a power failure costs events that wait for the collector"
        action = "remove fsync = false from [plugin.audit-atna]"
        findings.append(SecurityFinding(Severity.LOW, what, action))
    for path in (directory := setup.settings.data_directory / "audit-atna").glob("spool*"):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & stat.S_IMODE(directory.stat().st_mode) & 7:
            what = f"others may read or change events that wait in {path} (mode {mode:04o})"
            findings.append(SecurityFinding(Severity.HIGH, what, f"chmod -R o= {directory}"))
    return findings


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_audit_atna.conformance import state_security

    return list(state_security(setup.config(AuditAtnaConfig)))


def _load(name: str) -> Callable[[], Callable[..., int | None]]:
    def load() -> Callable[..., int | None]:
        from pacs_audit_atna import commands

        command: Callable[..., int | None] = getattr(commands, name)
        return command

    return load


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the commands."""
    return [
        CliCommandDescriptor(
            "audit spool list", "List what waits for the collector, and why.", _load("list_spool")
        ),
        CliCommandDescriptor("audit spool flush", "Deliver what waits, now.", _load("flush_spool")),
        CliCommandDescriptor(
            "audit spool drop", "Drop what waits, for a stated reason.", _load("drop_spool")
        ),
    ]


def _create(setup: Setup) -> AuditSink:
    from pacs_audit_atna.sink import CollectorSink

    return CollectorSink(setup.config(AuditAtnaConfig), setup.settings)
