"""The DICOM Conformance Statement of a node (PS3.2), from its plugins and configuration."""

from pacs_core.conformance.document import Section, Table
from pacs_core.conformance.html import to_html
from pacs_core.conformance.markdown import to_markdown
from pacs_core.conformance.outline import sections
from pacs_core.conformance.statement import (
    Network,
    Plugin,
    Service,
    SopClass,
    Statement,
    state,
)

__all__ = [
    "Network",
    "Plugin",
    "Section",
    "Service",
    "SopClass",
    "Statement",
    "Table",
    "sections",
    "state",
    "to_html",
    "to_markdown",
]
