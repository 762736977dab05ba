"""The bytes that a MAC is of (PS3.3 C.12.1.1.3.1.1 and C.12.1.1.3.1.2).

How it works: elements are encoded in the MAC Calculation Transfer Syntax, in ascending order, with
tag, VR, length and value. What may be written in more than one way has a single form: a sequence is
its tag and VR without a length, the tag of each item and the elements in it, and the tag of a
Sequence Delimitation Item, which is there even if the dataset has none. Encapsulated Pixel Data are
the same, with fragments for items. Some elements are in no MAC: group lengths, group FFFA,
paddings, and whatever has VR UN, as its bytes may be understood in another way elsewhere.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from attrs import frozen
from pacs_tools.api import DicomFile, iterate_fragments

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    BulkData,
    DataElement,
    ElementSet,
    element_header,
    encode_elements,
    swap_words,
)
from pacs_signatures.algorithms import Hash

MAC_PARAMETERS: Final = 0x4FFE_0001
DIGITAL_SIGNATURES: Final = 0xFFFA_FFFA
_NEVER: Final = frozenset({MAC_PARAMETERS, 0x0008_0001, 0xFFFC_FFFC})
_UNDEFINED: Final = 0xFFFF_FFFF
_WITHOUT_LENGTH: Final = 8
"""Bytes of an explicit header before its length of 32 bits: tag, VR, and the reserved field."""

_WORDS: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def is_signable(element: DataElement) -> bool:
    """Tell whether an element may be in a MAC (PS3.3 C.12.1.1.3.1.1)."""
    group = element.tag >> 16
    if not element.tag & 0xFFFF or group < 8 or group == 0xFFFA or element.tag in _NEVER:
        return False
    return not has_unknown_vr(element)


def has_unknown_vr(element: DataElement) -> bool:
    """Tell whether the VR of an element, or of one within it, is UN."""
    return element.vr == "UN" or any(
        has_unknown_vr(inner) for item in element.items for inner in item
    )


@frozen
class ByteStream:
    """Feeds a digest.

    Attributes
    ----------
    file : DicomFile
        Where long values are.
    transfer_syntax_uid : str
        The MAC Calculation Transfer Syntax, with explicit VRs.
    digest : Hash
        Takes the bytes.
    """

    file: DicomFile
    transfer_syntax_uid: str
    digest: Hash

    def add(self, elements: Iterable[DataElement]) -> None:
        """Add elements, which are in ascending order of tags."""
        plain: dict[int, DataElement] = {}
        for element in elements:
            if element.vr != "SQ" and isinstance(element.value, bytes):
                plain[element.tag] = element
                continue
            self._add_plain(plain)
            plain = {}
            if isinstance(element.value, BulkData):
                self._add_bulk(element, element.value)
            else:
                self._add_sequence(element)
        self._add_plain(plain)

    def _add_plain(self, elements: dict[int, DataElement]) -> None:
        for piece in encode_elements(ElementSet(elements), self.transfer_syntax_uid):
            self.digest.update(piece)

    def _add_sequence(self, element: DataElement) -> None:
        self._add_beginning(element)
        for item in element.items:
            self.digest.update(self._tag(0xFFFE_E000))
            self.add(inner for inner in item if is_signable(inner))
        self.digest.update(self._tag(0xFFFE_E0DD))

    def _add_bulk(self, element: DataElement, value: BulkData) -> None:
        if value.length is None:
            self._add_beginning(element)
            for offset, length in iterate_fragments(self.file, value.offset):
                self.digest.update(self._tag(0xFFFE_E000))
                self._add_bytes(offset, length, 1)
            self.digest.update(self._tag(0xFFFE_E0DD))
            return
        padded = value.length + (value.length & 1)
        header = element_header(element.tag, element.vr, padded, self.transfer_syntax_uid)
        self.digest.update(header)
        # Words are swapped where the dataset and the MAC differ in their byte order.
        is_big = self.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
        word = _WORDS.get(element.vr, 1)
        self._add_bytes(value.offset, value.length, 1 if is_big == (value.word_size > 1) else word)
        self.digest.update(bytes(padded - value.length))

    def _add_bytes(self, offset: int, length: int, word: int) -> None:
        for block in self.file.read_bulk(offset, length):
            self.digest.update(swap_words(block, word))

    def _add_beginning(self, element: DataElement) -> None:
        header = element_header(element.tag, element.vr, _UNDEFINED, self.transfer_syntax_uid)
        self.digest.update(header[:_WITHOUT_LENGTH])

    def _tag(self, tag: int) -> bytes:
        pack = _BIG if self.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else _LITTLE
        return pack(tag >> 16, tag & 0xFFFF)


_LITTLE: Final = Struct("<HH").pack
_BIG: Final = Struct(">HH").pack


def select(elements: ElementSet, tags: Iterable[int]) -> Iterator[DataElement]:
    """Iterate over those of some tags that are there, in ascending order."""
    return (elements.elements[tag] for tag in sorted(tags) if tag in elements.elements)
