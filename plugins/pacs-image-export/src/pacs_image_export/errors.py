"""Reasons for which a frame cannot be shown."""

from pacs_core.contracts import RenderingError


class RenderError(RenderingError):
    """A frame cannot be shown; the message says why."""
