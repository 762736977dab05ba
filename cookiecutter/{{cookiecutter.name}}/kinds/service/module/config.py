"""The table of the plugin."""

from attrs import field, frozen
from attrs.validators import gt
from pacs_core.contracts import RELOADABLE


@frozen
class Config:
    """Where to listen, and for how long.

    Attributes
    ----------
    host : str
        Address of an interface.
    port : int
        0 takes a free one, which is printed when the node is ready.
    patience : float
        Seconds for a client to take its line; may change while the node runs (SIGHUP).
    """

    host: str = "127.0.0.1"
    port: int = 0
    patience: float = field(default=10.0, validator=gt(0), metadata=RELOADABLE)
