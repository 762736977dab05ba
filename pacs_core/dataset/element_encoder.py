"""Elements with their VR, written as a dataset in any encoding (PS3.5 §7)."""

from collections.abc import Callable, Iterator

from pacs_core.dataset.byte_order import swap_words, word_size
from pacs_core.dataset.data_elements import BulkData, DataElement, ElementPath, ElementSet
from pacs_core.dataset.element_headers import HeaderWriter
from pacs_core.dataset.errors import UnencodableValue
from pacs_core.dataset.layout import (
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    Buffer,
    shown,
)
from pacs_core.dataset.transfer_syntax import encoding_of
from pacs_core.dataset.value_form import ValueForm

ReadBulk = Callable[[ElementPath, DataElement], bytes]


def encode_elements(
    elements: ElementSet, transfer_syntax_uid: str, read_bulk: ReadBulk | None = None
) -> Iterator[Buffer]:
    """Iterate over the pieces of a dataset; sequences and items get undefined length.

    Parameters
    ----------
    elements : ElementSet
        Text keeps its bytes, and so its Specific Character Set.
    transfer_syntax_uid : str
        How to encode it; deflation is left to the caller.
    read_bulk : callable, optional
        Returns the little endian bytes of a value that is bulk data; without it there is none.

    Raises
    ------
    UnencodableValue
        Bulk data cannot be had.
    """
    target = encoding_of(transfer_syntax_uid)
    source = encoding_of("1.2.840.10008.1.2.1")
    return _Encoder(HeaderWriter(target), ValueForm(source, target), read_bulk).write(elements, ())


class _Encoder:
    def __init__(self, headers: HeaderWriter, form: ValueForm, read_bulk: ReadBulk | None) -> None:
        self._headers = headers
        self._form = form
        self._read_bulk = read_bulk

    def write(self, elements: ElementSet, path: ElementPath) -> Iterator[Buffer]:
        for element in elements:
            tag, here = element.tag, (*path, element.tag)
            if element.vr == "SQ" and not isinstance(element.value, BulkData):
                yield self._headers.element(tag, "SQ", UNDEFINED_LENGTH)
                for number, item in enumerate(element.items):
                    yield self._headers.item(ITEM, UNDEFINED_LENGTH)
                    yield from self.write(item, (*here, number))
                    yield self._headers.item(ITEM_DELIMITATION, 0)
                yield self._headers.item(SEQUENCE_DELIMITATION, 0)
                continue
            value = self._value(element, here)
            header, word, padding = self._form.of(tag, element.vr, len(value))
            yield header
            yield swap_words(value, word if word_size(element.vr) == word else 1)
            yield padding

    def _value(self, element: DataElement, path: ElementPath) -> bytes:
        if isinstance(element.value, bytes):
            return element.value
        if self._read_bulk is None:
            raise UnencodableValue(f"{shown(element.tag)}: its bulk data are not here")
        return self._read_bulk(path, element)
