"""The table of the plugin."""

from pathlib import Path

from attrs import frozen


@frozen
class Config:
    """Where objects are kept.

    Attributes
    ----------
    directory : Path or None
        By default a folder of the data directory.
    """

    directory: Path | None = None
