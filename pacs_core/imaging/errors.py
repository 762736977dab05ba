"""Faults of an image."""


class ImageError(ValueError):
    """Pixel Data, or the attributes that describe it, are not what the standard says."""
