"""Cutting a command set or data set into presentation data values (PS3.8 Annex E)."""

from collections.abc import Iterator

from pacs_core.upper_layer.errors import LocalProtocolError
from pacs_core.upper_layer.p_data import (
    PDV_OVERHEAD,
    UNLIMITED_PDU_LENGTH,
    Bytes,
    PresentationDataValue,
)


def fragment_size(max_pdu_length: int) -> int:
    """Return how many bytes of a message fit into one P-DATA-TF PDU with one value.

    Parameters
    ----------
    max_pdu_length : int
        The peer's Maximum Length Received, in bytes; 0 for unlimited (PS3.8 §D.1).

    Raises
    ------
    LocalProtocolError
        Not one byte fits.
    """
    size = (max_pdu_length or UNLIMITED_PDU_LENGTH) - PDV_OVERHEAD
    if size < 1:
        raise LocalProtocolError(
            f"the peer's maximum PDU length {max_pdu_length} leaves no room for data;"
            f" at least {PDV_OVERHEAD + 1} is needed (or 0 for unlimited)"
        )
    # Messages have even length, and some peers refuse fragments that have not.
    return size - size % 2 or size


def fragment(
    context_id: int,
    is_command: bool,
    data: Bytes | bytearray,
    max_pdu_length: int,
    *,
    is_last: bool = True,
) -> Iterator[PresentationDataValue]:
    """Yield the values, one for each P-DATA-TF PDU, that carry a whole message without copying.

    Parameters
    ----------
    context_id : int
        Presentation context, odd.
    is_command : bool
        Whether `data` is a command set.
    data : bytes, bytearray or memoryview
        The message, which must not change until the values are sent. If empty, one empty value
        is yielded.
    max_pdu_length : int
        The peer's Maximum Length Received, in bytes; 0 for unlimited.
    is_last : bool
        False if more of the same message follows in later calls.

    Raises
    ------
    LocalProtocolError
        Not one byte fits into the peer's PDUs.
    """
    return _cut(context_id, is_command, memoryview(data), fragment_size(max_pdu_length), is_last)


def _cut(
    context_id: int, is_command: bool, view: memoryview, size: int, is_last: bool
) -> Iterator[PresentationDataValue]:
    # Where the last value begins: an empty message has one too, which says that it ends.
    final = max(len(view) - 1, 0) // size * size
    for start in range(0, final, size):
        yield PresentationDataValue(context_id, is_command, False, view[start : start + size])
    yield PresentationDataValue(context_id, is_command, is_last, view[final:])
