"""The table of the plugin."""

from typing import Literal

from attrs import frozen


@frozen
class Config:
    """How to print.

    Attributes
    ----------
    order : str
        ``"modality"``, by name, or ``"count"``, the most frequent first.
    """

    order: Literal["modality", "count"] = "modality"
