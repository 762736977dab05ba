"""Audit sink of pacs-core: one JSON line per event, to a rotating file or stdout; its reader."""

from collections.abc import Callable

from pacs_audit_json.config import STANDARD_OUTPUT, AuditJsonConfig, path_of
from pacs_core.contracts import (
    AuditReader,
    AuditSink,
    AuditSinkDescriptor,
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    Setup,
)
from pacs_core.plugins import hookimpl

__all__ = [
    "AuditJsonConfig",
    "pacs_audit_sinks",
    "pacs_capabilities",
    "pacs_cli_commands",
    "pacs_config",
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
