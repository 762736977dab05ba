"""Elementary streams: units that begin with start codes (ISO/IEC 13818-2 6.2.1, H.264 Annex B)."""

from typing import Final

from pacs_deidentify.video.units import Codec, Unit

_PREFIX: Final = b"\0\0\1"


class ElementaryStream:
    """Overwrites what units of a stream say, wherever the stream is cut.

    Parameters
    ----------
    codec : Codec

    Attributes
    ----------
    found : bool
        Whether anything was overwritten.
    silenced : bool
        Never: there is no sound among pictures.
    """

    silenced: Final = False

    def __init__(self, codec: Codec) -> None:
        self.found = False
        self._codec = codec
        self._zeros = 0
        self._header = bytearray()
        self._in_header = False
        self._unit: Unit | None = None

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range, which follows that of the call before."""
        at = start
        while at < end:
            if self._in_header:
                at = self._read_header(data, at, end)
                continue
            # A prefix may have begun in the range before.
            head = bytes(self._zeros) + data[at : min(at + 2, end)]
            begun = head.find(_PREFIX)
            found = data.find(_PREFIX, at, end)
            if begun >= 0:
                at += begun - self._zeros + len(_PREFIX)
            elif found < 0:
                self._pass_end(data, at, end)
                return
            else:
                self._edit_unit(data, at, found)
                at = found + len(_PREFIX)
            self._zeros, self._in_header, self._unit = 0, True, None
            self._header.clear()

    def _read_header(self, data: bytearray, at: int, end: int) -> int:
        taken = min(end - at, self._codec.header - len(self._header))
        self._header += data[at : at + taken]
        if len(self._header) == self._codec.header:
            self._in_header = False
            self._unit = self._codec.unit(bytes(self._header))
        return at + taken

    def _pass_end(self, data: bytearray, at: int, end: int) -> None:
        """Edit a range without a prefix, but for zeros at its end, with which one may begin."""
        zeros = min(2, end - at - len(data[at:end].rstrip(b"\0")))
        if zeros < end - at:
            self._edit_unit(data, at, end - zeros)
            self._zeros = zeros
            return
        if self._unit:  # none but zeros
            self._unit.pass_zeros(max(self._zeros + zeros - 2, 0))
        self._zeros = min(self._zeros + zeros, 2)

    def _edit_unit(self, data: bytearray, start: int, end: int) -> None:
        if self._unit and start < end:
            self._unit.pass_zeros(self._zeros)
            self.found |= self._unit.edit(data, start, end)
        self._zeros = 0
