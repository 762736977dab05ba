"""The table of the plugin."""

from attrs import field, frozen, validators


@frozen
class Config:
    """How far a check goes.

    Attributes
    ----------
    max_failures : int
        Number of failures after which a check ends, so that no reply grows without bounds.
    """

    max_failures: int = field(default=1000, validator=validators.ge(1))
