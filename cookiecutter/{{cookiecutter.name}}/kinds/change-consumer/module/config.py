"""The table of the plugin."""

from pathlib import Path

from attrs import frozen


@frozen
class Config:
    """Where the inventory is.

    Attributes
    ----------
    path : Path or None
        The database; by default ``inventory.sqlite`` in the plugin's own directory.
    """

    path: Path | None = None
