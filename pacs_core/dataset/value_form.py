"""Form of a value in another encoding: its header, its byte order, its padding."""

from pacs_core.dataset.byte_order import word_size
from pacs_core.dataset.element_headers import LONGEST_NARROW, HeaderWriter
from pacs_core.dataset.layout import NARROW_VRS
from pacs_core.dataset.transfer_syntax import Encoding

_ZERO_PADDED = frozenset({"UI", "OB", "UN"})


class ValueForm:
    """Decides it for one pair of encodings."""

    def __init__(self, source: Encoding, target: Encoding) -> None:
        self._source = source
        self._target = target
        self._headers = HeaderWriter(target)

    def of(self, tag: int, vr: str, length: int) -> tuple[bytes, int, bytes]:
        """Return the header to write, the size of words to swap (1: none), and the padding.

        A value too long for its VR becomes UN; values of UN are never swapped, so their order is
        that of the implicit encoding they come from (PS3.5 §6.2.2).
        """
        even = length + (length & 1)
        too_long = self._target.explicit and even > LONGEST_NARROW and vr in NARROW_VRS
        written = "UN" if too_long else vr
        word = word_size(vr)
        from_little = self._source.little_endian or vr == "UN"
        to_little = self._target.little_endian or written == "UN"
        zero = word > 1 or vr in _ZERO_PADDED
        padding = b"" if even == length else b"\0" if zero else b" "
        header = self._headers.element(tag, written, even)
        return header, word if from_little != to_little else 1, padding
