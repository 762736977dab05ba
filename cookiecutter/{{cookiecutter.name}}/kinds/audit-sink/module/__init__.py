"""An audit sink of pacs-core: a file of JSON lines."""

from pacs_core.contracts import AuditSinkDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.sink import FileSink

__all__ = ["Config", "FileSink", "pacs_audit_sinks", "pacs_config"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
    """Return the audit sink."""
    required = setup.config(Config).required
    return [
        AuditSinkDescriptor(
            "{{ cookiecutter.name }}",
            _create,
            required=required,
        )
    ]


def _create(setup: Setup) -> FileSink:
    folder = setup.settings.data_directory / "{{ cookiecutter.name }}"
    return FileSink(setup.config(Config).path or folder / "audit.jsonl")
