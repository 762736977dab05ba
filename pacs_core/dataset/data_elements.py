"""Data elements with their VR and their bytes: the model behind DICOM JSON and Native DICOM XML.

`Attributes` is what queries need: text, without VR and without bulk data. This is what a faithful
representation of a dataset needs: every element, private ones too, with the VR that was sent or
that PS3.6 has, its value as bytes, and where it lies if it is long.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import define, frozen

from pacs_core.dataset.values import SHORT_VALUE, decode_short, decode_value

ElementPath: TypeAlias = tuple[int, ...]
"""Where an element is: its tag; within a sequence its tag, the item's number from 0, and so on."""


@frozen
class BulkData:
    """Where a value lies that was not read.

    Attributes
    ----------
    offset : int
        Of the value in the dataset; in the inflated one, if the transfer syntax is deflated.
    length : int or None
        In bytes; None if it is encapsulated Pixel Data, which a delimitation item ends (PS3.5 A.4).
    word_size : int
        Bytes of the words to be swapped to get little endian; 1 if there are none.
    """

    offset: int
    length: int | None
    word_size: int = 1


@define(unsafe_hash=True)
class DataElement:
    """A data element (PS3.5 §7.1).

    Attributes
    ----------
    tag : int
    vr : str
        As sent; that of PS3.6 where none, or UN, was sent; "UN" if there is no telling.
    value : bytes, tuple of ElementSet, or BulkData
        Little endian bytes, padding included; the items of a sequence; or what was not read.
    """

    tag: int
    vr: str
    value: "bytes | tuple[ElementSet, ...] | BulkData"

    @property
    def items(self) -> "tuple[ElementSet, ...]":
        """The items of a sequence; none of anything else."""
        return self.value if isinstance(self.value, tuple) else ()


@frozen
class ElementSet:
    """The elements of a dataset, or of an item, by tag; group lengths are left out.

    Attributes
    ----------
    elements : mapping of int to DataElement
    character_sets : tuple of str
        Specific Character Set of its text: its own, or that of what it is in.
    """

    elements: Mapping[int, DataElement]
    character_sets: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[DataElement]:
        """Iterate over the elements in ascending order of tags."""
        return map(self.elements.__getitem__, sorted(self.elements))

    def texts(self, tag: int) -> tuple[str, ...]:
        """Return the values of an element as text, as `Attributes` has them; none if bulk."""
        element = self.elements.get(tag)
        if element is None or not isinstance(element.value, bytes):
            return ()
        decode = decode_short if len(element.value) <= SHORT_VALUE else decode_value
        return decode(element.vr, element.value, True, self.character_sets)

    def items(self, tag: int) -> "tuple[ElementSet, ...]":
        """Return the items of a sequence; none if it is absent, or is none."""
        element = self.elements.get(tag)
        return element.items if element is not None else ()

    def private_creator(self, tag: int) -> str:
        """Return the Private Creator of a private element (PS3.5 §7.8.1); empty if it has none."""
        group, block = tag >> 16, tag >> 8 & 0xFF
        if not group & 1 or block < 0x10:
            return ""
        return "".join(self.texts(group << 16 | block))

    def find(self, path: Sequence[int]) -> DataElement | None:
        """Return the element at a path, or None.

        Parameters
        ----------
        path : sequence of int
            See :data:`ElementPath`.
        """
        found = self.elements.get(path[0]) if path else None
        for number, tag in zip(path[1::2], path[2::2], strict=False):
            if found is None or not 0 <= number < len(found.items):
                return None
            found = found.items[number].elements.get(tag)
        return found if len(path) % 2 else None
