"""The table of the plugin."""

from attrs import frozen


@frozen
class Config:
    """Where to listen.

    Attributes
    ----------
    host : str
        Address of an interface.
    port : int
        0 takes a free one, which is printed when the node is ready.
    """

    host: str = "127.0.0.1"
    port: int = 0
