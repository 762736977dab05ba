"""Edits of a dataset's header in memory: everything but the edited elements stays as it is."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, TypeAlias

from pacs_core.dataset.dictionary import vr_of
from pacs_core.dataset.element_headers import element_header
from pacs_core.dataset.element_walk import ElementWalk
from pacs_core.dataset.encoder import DatasetEncoder
from pacs_core.dataset.layout import FOREIGN_GROUPS, ITEM, NARROW_CODES, Layout, layout_of
from pacs_core.dataset.model import Value
from pacs_core.dataset.transfer_syntax import encoding_of

# Theory of operation
#
# Edits are merged into the elements in the order of tags, which a dataset must keep (PS3.5 §7.1).
# Only where elements begin is asked; a walk is needed from where the first one does not say how
# long it is. Everything that is not edited is copied as it is, so
# that an edit of one attribute leaves all other bytes alone.

Edit: TypeAlias = tuple[str, bytes] | bytes | None
"""VR and encoded value of an element to write, or all of it, encoded; None to remove it."""

_Element: TypeAlias = tuple[int, int, int]


def edit_header(
    header: bytes | memoryview,
    transfer_syntax_uid: str,
    edits: Mapping[int, Edit],
    *,
    is_checked: bool = False,
) -> bytes:
    """Replace, insert (in order of tags) or remove top-level elements.

    Parameters
    ----------
    header : bytes or memoryview
        Whole top-level elements, not deflated.
    transfer_syntax_uid : str
        How they are encoded; deflation is left to the caller.
    edits : mapping
        By tag. The group length of a group that is edited is removed: it is retired, and would
        be wrong (PS3.5 §7.2). A value of odd length is padded with a zero byte.
    is_checked : bool
        The header was read to its end before, and need not be looked into behind the last edit.

    Raises
    ------
    MalformedDataset
        If `header` is not whole elements of that transfer syntax.
    UnencodableValue
        If there is no such VR or the value is too long for it.
    """
    elements = _elements_up_to(header, transfer_syntax_uid, edits) if is_checked else None
    if elements is None:
        elements = _elements(header, transfer_syntax_uid)
    groups = {tag >> 16 for tag in edits}
    written = {tag: _encode_edit(tag, edit, transfer_syntax_uid) for tag, edit in edits.items()}
    present = {tag for tag, _, _ in elements}
    inserts = sorted(written.keys() - present, reverse=True)
    out: list[bytes | memoryview] = []
    kept = 0  # whence bytes are to be copied
    for tag, start, end in elements:
        stale = not tag & 0xFFFF and tag >> 16 in groups
        if not (stale or tag in written or (inserts and inserts[-1] < tag)):
            continue
        out.append(header[kept:start])
        while inserts and inserts[-1] < tag:
            out.append(written[inserts.pop()])
        if tag in written:
            out.append(written[tag])
            written[tag] = b""
        kept = end if stale or tag in written else start
    out.append(header[kept:])
    return b"".join(out + [written[tag] for tag in reversed(inserts)])


def encode_edit(
    tag: int,
    values: tuple[Value, ...],
    transfer_syntax_uid: str,
    character_sets: tuple[str, ...] = (),
) -> tuple[str, bytes]:
    """Encode what `edit_header` is to write, from values as in `Attributes`: text, or items.

    Parameters
    ----------
    tag : int
        The attribute, whose VR is that of PS3.6.
    values : tuple of str or Attributes
    transfer_syntax_uid : str
        How the header is encoded.
    character_sets : tuple of str
        The header's Specific Character Set.

    Raises
    ------
    UnencodableValue
        If the attribute cannot have these values.
    """
    encoding = encoding_of(transfer_syntax_uid)
    raw = DatasetEncoder(encoding, character_sets).encode({tag: values})
    header = layout_of(encoding).read_header(raw, 0, 0)
    _, vr, start, _ = header or (tag, "", len(raw), 0)
    return vr or vr_of(tag), raw[start:]


def element_value(
    header: bytes | memoryview, transfer_syntax_uid: str, tag: int
) -> bytes | memoryview | None:
    """Return the encoded value of a top-level element; None if the header does not have it.

    Raises
    ------
    MalformedDataset
        If `header` is not whole elements of that transfer syntax.
    """
    layout = layout_of(encoding_of(transfer_syntax_uid))
    for found, start, end in _elements(header, transfer_syntax_uid):
        if found == tag and (read := layout.read_header(header[start:end], 0, 0)):
            return header[start + read[2] : end]
    return None


def _elements(header: bytes | memoryview, transfer_syntax_uid: str) -> list[_Element]:
    """Return tag, start and end of each top-level element."""
    encoding = encoding_of(transfer_syntax_uid)
    elements = _elements_of_known_length(header, layout_of(encoding))
    position = elements[-1][2] if elements else 0
    starts: list[tuple[int, int]] = []
    walk = ElementWalk(encoding, encoding, on_element=lambda *found: starts.append(found))
    walk.feed(header[position:])
    walk.finish()
    starts.append((0, len(header) - position))
    for (tag, start), (_, end) in pairwise(starts):
        elements.append((tag, position + start, position + end))
    return elements


def _elements_up_to(
    header: bytes | memoryview, transfer_syntax_uid: str, edits: Mapping[int, Edit]
) -> list[_Element] | None:
    """Return the elements up to the first one behind all edits; None if there may be more to do."""
    layout, last = layout_of(encoding_of(transfer_syntax_uid)), max(edits)
    elements = _elements_of_known_length(header, layout, last)
    if not elements or elements[-1][0] <= last:
        return None
    # Elements may be out of order, or there twice: where one is, its tag is.
    rest = bytes(header[elements[-1][2] :])
    order: Literal["little", "big"] = "little" if layout.little_endian else "big"
    for tag in edits:
        group = (tag >> 16).to_bytes(2, order)
        if group + bytes(2) in rest or group + (tag & 0xFFFF).to_bytes(2, order) in rest:
            return None
    return elements


def _elements_of_known_length(
    header: bytes | memoryview, layout: Layout, last: int = ITEM
) -> list[_Element]:
    """Return the elements before the first one that must be looked into, to know where it ends.

    None follow the first one whose tag is behind the last one.
    """
    elements: list[_Element] = []
    position, size, explicit = 0, len(header), layout.explicit
    while position + 12 <= size:
        group, number, code, length = layout.unpack_narrow(header, position)
        tag, end = group << 16 | number, position + 8 + length
        if not (explicit and code in NARROW_CODES):
            found = layout.read_header(header, position, 0)
            if found is None:
                break
            tag, end = found[0], found[2] + found[3]
        if end > size or tag >= ITEM or tag >> 16 in FOREIGN_GROUPS:
            break
        elements.append((tag, position, end))
        if tag > last:
            break
        position = end
    return elements


def _encode_edit(tag: int, edit: Edit, transfer_syntax_uid: str) -> bytes:
    if edit is None:
        return b""
    if isinstance(edit, bytes):
        return edit
    vr, value = edit
    value += b"\0" * (len(value) & 1)
    return element_header(tag, vr, len(value), transfer_syntax_uid) + value
