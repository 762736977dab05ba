"""The byte order of values: which representations consist of words (PS3.5 §6.2, §7.3)."""

from array import array

from pacs_core.dataset.layout import Buffer

_WORD_SIZES = {
    vr: size
    for size, vrs in {
        2: ("AT", "OW", "SS", "US"),
        4: ("FL", "OF", "OL", "SL", "UL"),
        8: ("FD", "OD", "OV", "SV", "UV"),
    }.items()
    for vr in vrs
}
_TYPECODES = {2: "H", 4: "I", 8: "Q"}


def word_size(vr: str) -> int:
    """Return the bytes of one word of a value; 1 where byte order does not matter."""
    return _WORD_SIZES.get(vr, 1)


def swap_words(data: Buffer, size: int) -> Buffer:
    """Return words of `size` bytes in the other byte order; bytes that fill none stay."""
    if size == 1:
        return data
    whole = len(data) - len(data) % size
    words = array(_TYPECODES[size])
    words.frombytes(data[:whole])
    words.byteswap()
    return words.tobytes() + data[whole:]
