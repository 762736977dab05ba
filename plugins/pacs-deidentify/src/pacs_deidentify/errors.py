"""The error of what cannot be de-identified."""


class DeidentificationError(ValueError):
    """An instance is refused; the message says why, and names no value of the instance."""


class CompressedPixelsError(DeidentificationError):
    """Regions are to be blanked, or text is to be looked for, and pixels are compressed.

    Who has codecs makes them native, and begins again.
    """
