"""The error of what cannot be de-identified."""


class DeidentificationError(ValueError):
    """An instance is refused; the message says why, and names no value of the instance."""
