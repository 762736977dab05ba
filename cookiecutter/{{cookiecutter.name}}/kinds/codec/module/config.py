"""The table of the plugin."""

from attrs import field, frozen, validators


@frozen
class Config:
    """How hard to try.

    Attributes
    ----------
    level : int
        From 1, fast, to 9, small.
    """

    level: int = field(default=6, validator=[validators.ge(1), validators.le(9)])
