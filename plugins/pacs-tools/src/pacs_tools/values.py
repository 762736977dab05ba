"""Values of data elements as people read them."""

from typing import Final

from pacs_core.api.file_commands import escape
from pacs_core.dataset import BULK_VRS, BulkData, DataElement, ElementSet
from pacs_tools.names import uid_name

_BYTES: Final = 16


def show_value(element: DataElement, within: ElementSet) -> str:
    """Return the value of an element that is no sequence, in one line."""
    if isinstance(element.value, BulkData):
        length = element.value.length
        size = "encapsulated" if length is None else f"{length} bytes"
        return f"<{size} at byte {element.value.offset}>"
    if isinstance(element.value, tuple):
        number = len(element.value)
        return f"{number} item{'' if number == 1 else 's'}"
    if element.vr in BULK_VRS:
        return _show_bytes(element.value)
    values = within.texts(element.tag)
    text = escape("\\".join(values))
    if element.vr == "UI" and (names := [name for value in values if (name := uid_name(value))]):
        text += f" = {', '.join(names)}"
    return text


def _show_bytes(value: bytes) -> str:
    shown = value[:_BYTES].hex(" ")
    if len(value) <= _BYTES:
        return shown
    return f"{shown} ... <{len(value)} bytes>"


def count_values(element: DataElement, within: ElementSet) -> int:
    """Return how many values an element has (PS3.5 §6.4)."""
    if not element.value:
        return 0
    if not isinstance(element.value, bytes) or element.vr in BULK_VRS:
        return 1
    return len(within.texts(element.tag))
