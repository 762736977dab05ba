"""The table of the plugin."""

from attrs import field, frozen, validators


@frozen
class Config:
    """How to count.

    Attributes
    ----------
    unknown : str
        Under which instances without a modality are counted.
    """

    unknown: str = field(default="(none)", validator=validators.min_len(1))
