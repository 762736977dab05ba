"""The table of the plugin."""

from attrs import field, frozen, validators

_TERMS = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")


@frozen
class Config:
    """How fast instances can be had.

    Attributes
    ----------
    availability : str
        Value of Instance Availability (0008,0056) for what the archive holds (PS3.4 C.4.1.1.3.2).
    """

    availability: str = field(default="ONLINE", validator=validators.in_(_TERMS))
