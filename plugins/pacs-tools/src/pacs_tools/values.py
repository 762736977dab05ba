"""Values of data elements as people read them."""

from typing import Final, TypeAlias

from pacs_core.api.file_commands import escape
from pacs_core.dataset import BULK_VRS, BulkData, DataElement, ElementSet, decode_value, uid_name

_BYTES: Final = 16

ElementValue: TypeAlias = bytes | tuple[ElementSet, ...] | BulkData
"""What :class:`pacs_core.dataset.DataElement` has."""


def show_value(element: DataElement, within: ElementSet, start: int = 0) -> str:
    """Return the value of an element in one line; see `show_values`."""
    return show_values(element.vr, element.value, within.character_sets, start)[0]


def show_values(
    vr: str, value: ElementValue, character_sets: tuple[str, ...], start: int = 0
) -> tuple[str, int]:
    """Return a value in one line, and how many values it is (PS3.5 §6.4).

    Parameters
    ----------
    vr : str
    value : bytes, tuple of ElementSet, or BulkData
    character_sets : tuple of str
    start : int
        Where the dataset begins, from which bulk data are counted.
    """
    if isinstance(value, BulkData):
        length = value.length
        size = "encapsulated" if length is None else f"{length} bytes"
        return f"<{size} at byte {start + value.offset}>", 1
    if isinstance(value, tuple):
        number = len(value)
        return f"{number} item{'' if number == 1 else 's'}", min(number, 1)
    if vr in BULK_VRS:
        return _show_bytes(value), min(len(value), 1)
    values = decode_value(vr, value, True, character_sets)
    text = escape("\\".join(values))
    if vr == "UI" and (names := [name for value in values if (name := uid_name(value))]):
        text += f" = {', '.join(names)}"
    return text, len(values)


def _show_bytes(value: bytes) -> str:
    shown = value[:_BYTES].hex(" ")
    if len(value) <= _BYTES:
        return shown
    return f"{shown} ... <{len(value)} bytes>"
