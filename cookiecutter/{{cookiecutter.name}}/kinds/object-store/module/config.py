"""The table of the plugin, and of each store ``[stores.NAME]`` of its type."""

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
