"""The table of the plugin."""

from pathlib import Path

from attrs import frozen


@frozen
class Config:
    """Where events are recorded.

    Attributes
    ----------
    path : Path or None
        File that lines are appended to; by default one in the data directory.
    required : bool
        Whether an operation that cannot be recorded is not acknowledged.
    """

    path: Path | None = None
    required: bool = False
