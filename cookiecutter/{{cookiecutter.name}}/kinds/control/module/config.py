"""The table of the plugin."""

from attrs import field, frozen
from attrs.validators import ge


@frozen
class Config:
    """What is remembered.

    Attributes
    ----------
    most : int
        So many AE titles; further ones are counted together.
    """

    most: int = field(default=100, validator=ge(1))
