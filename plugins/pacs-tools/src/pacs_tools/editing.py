"""Edits of a file: what is to change, and the changed file.

How it works: the elements of a file are read, the edit makes new ones of them, and the top-level
elements that differ are encoded and put in the place of the old ones. All other bytes are copied,
Pixel Data as a stream. So an edit within a sequence writes that sequence anew, and nothing else.
"""

from collections.abc import Callable, Iterator
from itertools import chain, compress
from operator import is_not
from typing import Final

from attrs import evolve, field, frozen

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import (
    DataElement,
    Deflater,
    Edit,
    ElementPath,
    ElementSet,
    encoding_of,
    file_meta,
)
from pacs_tools.files import DicomFile
from pacs_tools.paths import AttributePath
from pacs_tools.rewriting import encode_element, rewrite_dataset
from pacs_tools.setting import Values, ValuesAt, append_values, declare, set_values

_SOP_CLASS, _SOP_INSTANCE, _CHARACTER_SET = 0x0008_0016, 0x0008_0018, 0x0008_0005
_FIRST_PIXELS: Final = 0x7FE0_0008
_LONG: Final = 1 << 16
_PREAMBLE: Final = 128


@frozen
class Changes:
    """What is to change in each file.

    Attributes
    ----------
    appended : tuple of (AttributePath, tuple of str)
        Attributes to append to, and what; this is done first. To a sequence an item is appended.
    values : tuple of (AttributePath, tuple of str)
        Attributes to set, and what to.
    deleted : tuple of AttributePath
    without_private : bool
        Delete all private elements.
    uids : callable, optional
        Returns what a UID becomes; the same UID if it stays.
    """

    values: tuple[ValuesAt, ...] = ()
    appended: tuple[ValuesAt, ...] = ()
    deleted: tuple[AttributePath, ...] = ()
    without_private: bool = False
    uids: Callable[[str], str] | None = field(default=None, repr=False)

    def apply(self, elements: ElementSet) -> ElementSet:
        """Return the elements as they shall be.

        Raises
        ------
        CommandError
            A value cannot be given to its attribute, or a place is not there.
        """
        for changes, change in ((self.appended, append_values), (self.values, set_values)):
            for path, values in changes:
                elements = _give(elements, path, values, change)
        for path in self.deleted:
            for place in path.find(elements, existing=True):
                elements = replace_element(elements, place, _without)
        if self.without_private:
            elements = _drop(elements, lambda tag: bool(tag >> 16 & 1))
        return elements if self.uids is None else _map_uids(elements, self.uids)


def change_file(file: DicomFile, changed: ElementSet) -> Iterator[bytes | memoryview]:
    """Return the pieces of the changed file; what cannot be changed fails at once.

    Parameters
    ----------
    file : DicomFile
    changed : ElementSet
        Its elements as they shall be, see :meth:`Changes.apply`.

    Raises
    ------
    CommandError
        What is compressed, or longer than 64 KiB, would have to be written anew.
    """
    pieces = rewrite_dataset(file, dict(_edits(file, changed)))
    if encoding_of(file.meta.transfer_syntax_uid).deflated:
        pieces = deflate(pieces)
    return chain(_begin(file, changed), pieces)


def deflate(pieces: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Iterate over a dataset, deflated (PS3.5 A.5)."""
    deflater = Deflater()
    for piece in pieces:
        yield deflater.feed(piece)
    yield deflater.finish()


def _give(
    elements: ElementSet,
    path: AttributePath,
    values: Values,
    change: Callable[[ElementSet, AttributePath, int, Values], ElementSet],
) -> ElementSet:
    """Return elements of which those at a path are set, or appended to."""
    places = list(path.find(elements))
    if not places:
        raise CommandError(f"{path.text}: there is no such item")
    for place in places:
        if len(place) == 1:
            elements = declare(elements, path, place[0], values)
        elements = replace_element(
            elements, place, lambda within, tag: change(within, path, tag, values)
        )
    return elements


def replace_element(
    elements: ElementSet, place: ElementPath, change: Callable[[ElementSet, int], ElementSet]
) -> ElementSet:
    """Return elements with those of the item at a place changed.

    Parameters
    ----------
    elements : ElementSet
    place : ElementPath
        Of an element, which need not be there.
    change : callable
        Given what the item has, and the tag, returns what it shall have.
    """
    if len(place) == 1:
        return change(elements, place[0])
    tag, number = place[0], place[1]
    sequence = elements.elements[tag]
    items = list(sequence.items)
    items[number] = replace_element(items[number], place[2:], change)
    return evolve(
        elements, elements={**elements.elements, tag: evolve(sequence, value=tuple(items))}
    )


def _without(within: ElementSet, tag: int) -> ElementSet:
    return evolve(within, elements={t: e for t, e in within.elements.items() if t != tag})


def _drop(elements: ElementSet, dropped: Callable[[int], bool]) -> ElementSet:
    """Return elements without some, in items too; what does not change stays the same object."""

    def keep(element: DataElement) -> DataElement:
        return _with_items(element, lambda item: _drop(item, dropped))

    kept = {t: keep(e) for t, e in elements.elements.items() if not dropped(t)}
    return _evolve(elements, kept)


def _map_uids(elements: ElementSet, uids: Callable[[str], str]) -> ElementSet:
    def change(element: DataElement) -> DataElement:
        if element.vr != "UI" or not isinstance(element.value, bytes):
            return _with_items(element, lambda item: _map_uids(item, uids))
        old = element.value.decode("ascii", "replace").rstrip("\0 ")
        new = "\\".join(map(uids, old.split("\\")))
        raw = new.encode("ascii", "replace")
        return element if new == old else evolve(element, value=raw + b"\0" * (len(raw) & 1))

    return _evolve(elements, {t: change(e) for t, e in elements.elements.items()})


def _with_items(element: DataElement, change: Callable[[ElementSet], ElementSet]) -> DataElement:
    items = tuple(map(change, element.items))
    same = all(new is old for new, old in zip(items, element.items, strict=True))
    return element if same else evolve(element, value=items)


def _evolve(elements: ElementSet, changed: dict[int, DataElement]) -> ElementSet:
    old = elements.elements
    if len(changed) == len(old) and all(changed[tag] is old[tag] for tag in changed):
        return elements
    return evolve(elements, elements=changed)


def _edits(file: DicomFile, changed: ElementSet) -> Iterator[tuple[int, Edit]]:
    """Iterate over the top-level elements that differ, encoded as the file is."""
    old, new = file.elements.elements, changed.elements
    yield from ((tag, None) for tag in old.keys() - new.keys())
    # Of hundreds of elements few differ: they are found without a step in Python for each.
    differ = map(is_not, new.values(), map(old.get, new))
    for tag, element in compress(new.items(), differ):
        yield tag, encode_element(file, element)


def _begin(file: DicomFile, changed: ElementSet) -> Iterator[bytes]:
    """Yield preamble and File Meta Information, anew if they are to name another instance."""
    meta, head = file.meta, file.head
    old, uids = (
        [next(iter(elements.texts(tag)), "") for tag in (_SOP_CLASS, _SOP_INSTANCE)]
        for elements in (file.elements, changed)
    )
    if not file.has_meta or uids in (old, [meta.sop_class_uid, meta.sop_instance_uid]):
        yield head
        return
    try:
        made = file_meta(
            uids[0], uids[1], meta.transfer_syntax_uid, meta.source_ae_title,
            meta.sending_ae_title, meta.receiving_ae_title,
            private_creator_uid=meta.private_creator_uid,
            private_information=meta.private_information,
        )  # fmt: skip
    except ValueError as error:
        raise CommandError(f"{file.path}: {error}") from error
    # The preamble may make the file readable as another format, as TIFF (PS3.10 §7.1).
    kept = head[:_PREAMBLE] if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else bytes(_PREAMBLE)
    yield kept + made[_PREAMBLE:]
