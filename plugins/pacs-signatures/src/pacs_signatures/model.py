"""Digital signatures as a dataset has them: the Digital Signatures Macro (PS3.3 C.12.1.1.3)."""

from collections.abc import Iterator
from struct import Struct
from typing import Final

from attrs import frozen

from pacs_core.dataset import DataElement, ElementPath, ElementSet, keyword_of
from pacs_signatures.byte_stream import DIGITAL_SIGNATURES, MAC_PARAMETERS

MAC_ID: Final = 0x0400_0005
TRANSFER_SYNTAX: Final = 0x0400_0010
ALGORITHM: Final = 0x0400_0015
SIGNED: Final = 0x0400_0020
SIGNATURE_UID: Final = 0x0400_0100
WHEN: Final = 0x0400_0105
CERTIFICATE_TYPE: Final = 0x0400_0110
CERTIFICATE: Final = 0x0400_0115
SIGNATURE: Final = 0x0400_0120
TIMESTAMP_TYPE: Final = 0x0400_0305
TIMESTAMP: Final = 0x0400_0310
PURPOSE: Final = 0x0400_0401
_ORIGINAL_ATTRIBUTES: Final = 0x0400_0561
_CODE_VALUE, _CODE_MEANING = 0x0008_0100, 0x0008_0104
_NOT_SIGNED: Final = frozenset({CERTIFICATE, SIGNATURE, TIMESTAMP_TYPE, TIMESTAMP})
"""Of the item of a signature: all else in it is in its MAC (PS3.3 C.12.1.1.3.1.2)."""

_TAG: Final = Struct("<HH")


@frozen
class MacParameters:
    """An item of MAC Parameters Sequence (4FFE,0001)."""

    transfer_syntax_uid: str
    algorithm: str
    tags: tuple[int, ...]


@frozen
class DigitalSignature:
    """An item of Digital Signatures Sequence (FFFA,FFFA).

    Attributes
    ----------
    place : ElementPath
        Of the item that is signed; empty for the dataset.
    within : ElementSet
        What that item has.
    item : ElementSet
        The attributes of the signature.
    parameters : tuple of MacParameters
        Those with its MAC ID Number, of which there has to be one.
    """

    place: ElementPath
    within: ElementSet
    item: ElementSet
    parameters: tuple[MacParameters, ...]

    def text(self, tag: int) -> str:
        """Return the first value of an attribute, or an empty text."""
        return next(iter(self.item.texts(tag)), "")

    def value(self, tag: int) -> bytes:
        """Return the bytes of an attribute; none if they are not there, or longer than 64 KiB."""
        element = self.item.elements.get(tag)
        return element.value if element is not None and isinstance(element.value, bytes) else b""

    @property
    def uid(self) -> str:
        """Digital Signature UID."""
        return self.text(SIGNATURE_UID)

    @property
    def when(self) -> str:
        """Digital Signature DateTime, as the signer has it."""
        return self.text(WHEN)

    @property
    def signed_attributes(self) -> Iterator[DataElement]:
        """The attributes of the signature that are in its MAC."""
        return (each for each in self.item if each.tag not in _NOT_SIGNED)

    @property
    def purpose(self) -> tuple[str, str]:
        """Value and meaning of the code of Digital Signature Purpose Code Sequence."""
        sequence = self.item.elements.get(PURPOSE)
        if sequence is None or not sequence.items:
            return "", ""
        value, meaning = (sequence.items[0].texts(tag) for tag in (_CODE_VALUE, _CODE_MEANING))
        return "".join(value[:1]), "".join(meaning[:1])

    @property
    def where(self) -> str:
        """The place for people: ``ContentSequence[1]``."""
        steps = zip(self.place[::2], self.place[1::2], strict=True)
        return ".".join(f"{keyword_of(tag)}[{number + 1}]" for tag, number in steps)


def find_signatures(elements: ElementSet, place: ElementPath = ()) -> Iterator[DigitalSignature]:
    """Iterate over the signatures of a dataset and of all items in it.

    What is in Original Attributes Sequence was signed before something changed, and is passed over.
    """
    for item in elements.items(DIGITAL_SIGNATURES):
        yield DigitalSignature(place, elements, item, tuple(_parameters(elements, item)))
    for element in elements:
        if element.tag in {DIGITAL_SIGNATURES, MAC_PARAMETERS, _ORIGINAL_ATTRIBUTES}:
            continue
        for number, item in enumerate(element.items):
            yield from find_signatures(item, (*place, element.tag, number))


def _parameters(elements: ElementSet, signature: ElementSet) -> Iterator[MacParameters]:
    wanted = signature.texts(MAC_ID)
    for item in elements.items(MAC_PARAMETERS):
        if wanted and item.texts(MAC_ID) == wanted:
            syntax, algorithm = (item.texts(tag) for tag in (TRANSFER_SYNTAX, ALGORITHM))
            yield MacParameters("".join(syntax), "".join(algorithm), _tags(item))


def _tags(item: ElementSet) -> tuple[int, ...]:
    element = item.elements.get(SIGNED)
    if element is None or not isinstance(element.value, bytes):
        return ()
    whole = len(element.value) // _TAG.size * _TAG.size
    return tuple(group << 16 | number for group, number in _TAG.iter_unpack(element.value[:whole]))


def encode_tags(tags: tuple[int, ...]) -> bytes:
    """Return the value of Data Elements Signed (0400,0020)."""
    return b"".join(_TAG.pack(tag >> 16, tag & 0xFFFF) for tag in tags)
