"""The table of the plugin."""

from attrs import field, frozen
from attrs.validators import gt


@frozen
class Config:
    """Where the routes are, and how much they look at.

    Attributes
    ----------
    prefix : str
        Path that they begin with.
    limit : int
        Series that are counted at most.
    """

    prefix: str = "/{{ cookiecutter.name }}"
    limit: int = field(default=100_000, validator=gt(0))
