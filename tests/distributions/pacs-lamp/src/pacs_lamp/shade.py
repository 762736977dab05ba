"""A shade, another plugin: it writes down what it is told, and does not like every colour."""

from collections.abc import Sequence

from attrs import field, frozen

from pacs_core.contracts import (
    RELOADABLE,
    AuditEvent,
    AuditSink,
    AuditSinkDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_lamp import notes


@frozen
class Config:
    """The table ``[plugin.lamp-shade]``."""

    pattern: str = field(default="plain", metadata=RELOADABLE)


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
    """Return the shade: an audit sink, which starts before any service."""
    return [AuditSinkDescriptor("shade", Shade)]


class Shade(AuditSink):
    """Records nothing but the patterns that it has had."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """See base."""

    async def reconfigure(self, setup: Setup) -> None:
        """Note the pattern; stripes tear."""
        pattern = setup.config(Config).pattern
        if pattern == "torn":
            raise RuntimeError("the shade is torn")
        with notes(setup.settings.data_directory).open("a") as file:
            file.write(pattern + "\n")
