"""What keeps a frame from being shown."""


class RenderError(ValueError):
    """A frame cannot be shown; the message says why."""
