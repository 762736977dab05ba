"""Traits of all codestreams: an image that they announce, and an end that is told by markers."""

from abc import ABC, abstractmethod

from attrs import frozen


@frozen
class CodestreamImage:
    """The image that a codestream announces.

    Attributes
    ----------
    rows, columns : int
        In pixels.
    components : int
    precision : int
        Bits of a sample.
    is_signed : bool
        Samples are signed, as far as the codestream knows; JPEG and JPEG-LS do not.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool = False


class MarkerWalk(ABC):
    """Steps from marker to marker to the end of a codestream, while that grows.

    What follows the end is of no importance, whatever its last bytes are: an image may be followed
    by padding of any kind, and a preview within it has an end of its own.

    Attributes
    ----------
    position : int
        Where the walk has come to; once `ended`, the length of the codestream.
    ended : bool
        The end marker has been found.
    """

    def __init__(self) -> None:
        self.position = 0
        self.ended = False

    def advance(self, data: bytes | bytearray) -> bool:
        """Go on with a codestream that is longer now; return whether it has ended.

        Parameters
        ----------
        data : bytes or bytearray
            The codestream from its beginning, what was there before included. No byte is looked
            at twice.
        """
        while not self.ended and self._step(data):
            pass
        return self.ended

    @abstractmethod
    def _step(self, data: bytes | bytearray) -> bool:
        """Take one marker; return whether there may be another in these data."""
