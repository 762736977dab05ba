"""The table of the plugin."""

from attrs import frozen


@frozen
class Config:
    """How services are sent instances.

    Attributes
    ----------
    media_type : str
        What the instances are said to be.
    """

    media_type: str = "application/dicom"
