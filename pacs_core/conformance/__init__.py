"""The DICOM Conformance Statement of a node (PS3.2), from its plugins and configuration."""

from pacs_core.conformance.document import DocumentTable, StatementSection
from pacs_core.conformance.html import to_html
from pacs_core.conformance.markdown import to_markdown
from pacs_core.conformance.outline import sections
from pacs_core.conformance.statement import (
    Network,
    Plugin,
    SopClass,
    StatedService,
    Statement,
    state,
)

__all__ = [
    "DocumentTable",
    "Network",
    "Plugin",
    "SopClass",
    "StatedService",
    "Statement",
    "StatementSection",
    "sections",
    "state",
    "to_html",
    "to_markdown",
]
