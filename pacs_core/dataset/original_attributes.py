"""Original Attributes Sequence (0400,0561): what a dataset had before it was changed.

PS3.3 C.12.1.1.9: each item tells the previous values of attributes that were replaced or removed,
as a dataset of its own in Modified Attributes Sequence, who replaced them, when, and why.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import frozen

from pacs_core.dataset.element_headers import HeaderWriter
from pacs_core.dataset.encoder import DatasetEncoder
from pacs_core.dataset.layout import (
    ITEM,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    layout_of,
)
from pacs_core.dataset.transfer_syntax import Encoding

ORIGINAL_ATTRIBUTES = 0x0400_0561
MODIFIED_ATTRIBUTES = 0x0400_0550
_DATETIME, _SYSTEM, _SOURCE, _REASON = 0x0400_0562, 0x0400_0563, 0x0400_0564, 0x0400_0565

REASONS = ("COERCE", "CORRECT", "ADD")
"""Defined terms of Reason for the Attribute Modification (0400,0565)."""


@frozen
class Modification:
    """What an item of Original Attributes Sequence says besides the previous values.

    Attributes
    ----------
    time : float
        Attribute Modification DateTime (0400,0562), in seconds since the epoch (UTC).
    system : str
        Modifying System (0400,0563): who replaced the values.
    source : str
        Source of Previous Values (0400,0564): who sent the instance with these; may be empty.
    reason : str
        Reason for the Attribute Modification (0400,0565): one of :data:`REASONS`.
    """

    time: float
    system: str
    source: str = ""
    reason: str = "CORRECT"

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """VR and text of what depends on the character set."""
        return (("LO", self.system), ("LO", self.source))


def original_attributes_item(
    previous: Mapping[int, bytes],
    modification: Modification,
    encoding: Encoding,
    character_sets: tuple[str, ...],
) -> bytes:
    """Encode an item, with defined length.

    Parameters
    ----------
    previous : mapping of int to bytes
        Whole elements as the dataset had them, by tag.
    modification : Modification
    encoding : Encoding
    character_sets : tuple of str
        Of the dataset.
    """
    headers = HeaderWriter(encoding)
    elements = b"".join(previous[tag] for tag in sorted(previous))
    modified = headers.item(ITEM, len(elements)) + elements
    moment = datetime.fromtimestamp(modification.time, UTC)
    rest = DatasetEncoder(encoding, character_sets).encode(
        {
            _DATETIME: (moment.strftime("%Y%m%d%H%M%S.%f+0000"),),
            _SYSTEM: (modification.system,),
            _SOURCE: (modification.source,) if modification.source else (),
            _REASON: (modification.reason,),
        }
    )
    content = headers.element(MODIFIED_ATTRIBUTES, "SQ", len(modified)) + modified + rest
    return headers.item(ITEM, len(content)) + content


def add_items(element: bytes, items: bytes, encoding: Encoding) -> bytes | None:
    """Add items at the end of a sequence; the items that are there keep their bytes.

    Parameters
    ----------
    element : bytes
        The whole element.
    items : bytes
    encoding : Encoding
        Of both.

    Returns
    -------
    bytes or None
        None if the element is not a sequence as it should be: then it had better stay as it is.
    """
    headers = HeaderWriter(encoding)
    header = layout_of(encoding).read_header(element, 0, 0)
    if header is None or header[1] not in ("", "SQ"):
        return None
    tag, vr, start, length = header
    value, end = element[start:], headers.item(SEQUENCE_DELIMITATION, 0)
    if length == UNDEFINED_LENGTH:
        if not value.endswith(end):
            return None
        return element[: -len(end)] + items + end
    if length != len(value):
        return None
    return headers.element(tag, vr or "SQ", length + len(items)) + value + items
