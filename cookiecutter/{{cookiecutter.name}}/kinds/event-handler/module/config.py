"""The table of the plugin."""

from attrs import frozen


@frozen
class Config:
    """What to list.

    Attributes
    ----------
    modalities : tuple of str
        Values of Modality (0008,0060) to list; all, if there are none.
    """

    modalities: tuple[str, ...] = ()
