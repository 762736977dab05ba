"""Reasons for which a frame cannot be shown."""


class RenderError(ValueError):
    """A frame cannot be shown; the message says why."""
