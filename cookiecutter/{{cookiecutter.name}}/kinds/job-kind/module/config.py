"""The table of the plugin."""

from pathlib import Path

from attrs import frozen


@frozen
class Config:
    """When reports are made, and where they lie.

    Attributes
    ----------
    schedule : str
        A cron expression, in the time zone of the machine; empty for never by itself.
    folder : Path or None
        By default the plugin's own directory.
    """

    schedule: str = "0 3 * * *"
    folder: Path | None = None
