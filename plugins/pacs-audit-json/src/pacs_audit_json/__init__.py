"""Audit sink of pacs-core: one JSON line per event, to a rotating file or stdout; its reader."""

from collections.abc import Callable

from pacs_audit_json.config import STANDARD_OUTPUT, AuditJsonConfig, key_of, path_of
from pacs_core.contracts import (
    AuditReader,
    AuditSink,
    AuditSinkDescriptor,
    CapabilityDescriptor,
    CliCommandDescriptor,
    Hooks,
    Node,
    SecurityFinding,
    SecurityStatement,
    Setup,
    Severity,
)
from pacs_core.plugins import hookimpl

__all__ = [
    "AuditJsonConfig",
    "pacs_audit_sinks",
    "pacs_capabilities",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_conformance",
    "pacs_security_findings",
]


@hookimpl
def pacs_config() -> type:
    """Return the class of ``[plugin.audit-json]``."""
    return AuditJsonConfig


@hookimpl
def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
    """Return the sink ``json``."""
    required = setup.config(AuditJsonConfig).required
    return [AuditSinkDescriptor("json", _create, required=required)]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the reader of the files; there is none of standard output."""
    config = setup.config(AuditJsonConfig)
    if config.path == STANDARD_OUTPUT:
        return []
    path = path_of(config, setup.settings.data_directory)

    def create(node: Node) -> AuditReader:
        from pacs_audit_json.reading import FileReader

        return FileReader(path)

    return [CapabilityDescriptor("audit-json", AuditReader, create, always=True)]


@hookimpl
def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
    """Return what makes the trail easy to forge, or to lose."""
    config = setup.config(AuditJsonConfig)
    if config.path == STANDARD_OUTPUT:
        return []
    findings = []
    if not config.chain:
        what = "records can be changed without a trace"
        action = "remove chain = false from [plugin.audit-json]"
        findings.append(SecurityFinding(Severity.MEDIUM, what, action))
    key = key_of(config, path_of(config, setup.settings.data_directory))
    if config.chain and key.exists() and key.stat().st_mode & 0o077:
        what = f"others may read the key that signs the trail, {key}"
        findings.append(SecurityFinding(Severity.HIGH, what, f"chmod 600 {key}"))
    if not config.fsync:
        what = "a power failure costs the last records"
        action = "set fsync = true in [plugin.audit-json]"
        findings.append(SecurityFinding(Severity.LOW, what, action))
    return findings


@hookimpl
def pacs_conformance(setup: Setup) -> list[SecurityStatement]:
    """Return what the conformance statement says of security."""
    from pacs_audit_json.conformance import state_security

    return list(state_security(setup.config(AuditJsonConfig)))


def _load(name: str) -> Callable[[], Callable[..., int | None]]:
    def load() -> Callable[..., int | None]:
        from pacs_audit_json import commands

        command: Callable[..., int | None] = getattr(commands, name)
        return command

    return load


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the commands."""
    return [
        CliCommandDescriptor("audit verify", "Look whether it is as written.", _load("verify")),
        CliCommandDescriptor("audit search", "Find recorded events.", _load("search")),
        CliCommandDescriptor("audit key", "Show the public key that signs.", _load("key")),
    ]


def _create(setup: Setup) -> AuditSink:
    from pacs_audit_json.sink import create

    return create(setup.config(AuditJsonConfig), setup.settings.data_directory)
