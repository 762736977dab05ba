"""Minimal Lower Layer Protocol: a message between <VT> and <FS><CR> (HL7 V2 Transport, MLLP).

Senders differ in what they put between messages, and some leave the last <CR> out. So what is
outside of frames is passed over, within limits, and a frame ends with its <FS>.
"""

from collections.abc import Iterator
from typing import Final

BEGIN: Final = b"\x0b"
END: Final = b"\x1c"
_LONGEST_GAP: Final = 1024
"""Bytes between frames that are passed over."""


class FramingError(ValueError):
    """What arrives is no MLLP, or too long; nothing that follows can be understood."""


def frame(message: bytes) -> bytes:
    """Return a message as it is sent."""
    return b"".join((BEGIN, message, END, b"\r"))


class Deframer:
    """Finds messages in what a connection gives.

    Parameters
    ----------
    limit : int
        Bytes of the longest message.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Iterate over the messages that are whole by now.

        Raises
        ------
        FramingError
        """
        self._held += data
        while self._pass_gap() and (end := self._held.find(END, self._searched)) >= 0:
            # Some relays put frames into frames.
            message = bytes(self._held[1:end]).lstrip(BEGIN)
            del self._held[: end + 1]
            self._searched = 0
            if len(message) > self._limit:
                raise FramingError(f"a message is longer than {self._limit} bytes")
            yield message
        self._searched = len(self._held)
        if len(self._held) > self._limit + 1:
            raise FramingError(f"a message is longer than {self._limit} bytes")

    @property
    def is_within(self) -> bool:
        """Whether a message has begun, and has not ended."""
        return self._held[:1] == BEGIN

    def _pass_gap(self) -> bool:
        """Drop what is before the next frame; return whether there is one."""
        if self.is_within:
            return True
        begin = self._held.find(BEGIN)
        gap = len(self._held) if begin < 0 else begin
        if gap > _LONGEST_GAP:
            raise FramingError(f"{gap} bytes are outside of any frame: this is no MLLP")
        if begin < 0:
            # Kept, so that a gap that comes in pieces is measured whole.
            return False
        del self._held[:begin]
        self._searched = 0
        return True
