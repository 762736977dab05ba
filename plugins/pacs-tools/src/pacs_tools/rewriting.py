"""Datasets that are written with some elements changed, and all other bytes as they are.

How it works: what is long was left in the file when it was read (`BulkData`), and cuts the dataset
into segments. A segment is small, and taken into memory only with the edits whose tags lie in it;
what is long is copied as a stream. So the memory that is needed does not depend on Pixel Data, on
whichever side of them something changes.
"""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Final

from pacs_core.api.file_commands import CommandError
from pacs_core.dataset import (
    BULK_VRS as _BULK_VRS,
    BulkData,
    DataElement,
    Edit,
    ElementPath,
    ElementSet,
    edit_header,
    encode_elements,
    encoding_of,
    keyword_of,
    swap_words,
)
from pacs_tools.files import DicomFile

_WIDE: Final = _BULK_VRS | {"SQ", "UC", "UR", "UT", "UN", "SV", "UV"}
_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_END: Final = 1 << 32


def rewrite_dataset(file: DicomFile, edits: Mapping[int, Edit]) -> Iterator[bytes | memoryview]:
    """Iterate over the pieces of a dataset with some of its top-level elements edited.

    Parameters
    ----------
    file : DicomFile
    edits : mapping of int to Edit
        By tag; see `edit_header`.

    Raises
    ------
    CommandError
        Encapsulated Pixel Data are damaged.
    """
    syntax = file.meta.transfer_syntax_uid
    header = 12 if encoding_of(syntax).explicit else 8
    position, low = 0, -1
    for tag, start, end in [*_long_values(file), (_END, file.dataset_size + header, 0)]:
        inside = {each: edit for each, edit in edits.items() if low < each < tag}
        first = start - header
        if inside:
            segment = b"".join(file.read_bulk(position, first - position))
            yield edit_header(segment, syntax, inside, is_checked=not file.damage)
        else:
            yield from file.read_bulk(position, first - position)
        if tag < _END and tag not in edits:
            yield from file.read_bulk(first, end - first)
        elif tag in edits:
            yield edit_header(b"", syntax, {tag: edits[tag]})
        position, low = end, tag


def _long_values(file: DicomFile) -> Iterator[tuple[int, int, int]]:
    """Iterate over tag, start and end of the values that were left in the file."""
    # Of hundreds of elements few are long, or none.
    found = [
        (tag, each.value)
        for tag, each in file.elements.elements.items()
        if isinstance(each.value, BulkData)
    ]
    for tag, value in sorted(found, key=itemgetter(0)):
        if value.length is None:
            *_, (offset, last) = iterate_fragments(file, value.offset)
            yield tag, value.offset, offset + last + 8
        else:
            yield tag, value.offset, value.offset + value.length


def iterate_fragments(file: DicomFile, offset: int) -> Iterator[tuple[int, int]]:
    """Iterate over where the fragments of encapsulated Pixel Data are, and their lengths.

    The first is the Basic Offset Table (PS3.5 A.4).

    Parameters
    ----------
    file : DicomFile
    offset : int
        Of the value.

    Raises
    ------
    CommandError
        They do not end.
    """
    while True:
        header = b"".join(file.read_bulk(offset, 8))
        if header[:4] == _DELIMITER:
            return
        if len(header) < 8:
            raise CommandError(f"{file.path}: encapsulated Pixel Data do not end")
        length = int.from_bytes(header[4:], "little")
        yield offset + 8, length
        offset += 8 + length


def encode_element(file: DicomFile, element: DataElement) -> Edit:
    """Return an element as `rewrite_dataset` takes it, in the encoding of a file.

    Raises
    ------
    CommandError
        It is what compressed images are in.
    """
    syntax = file.meta.transfer_syntax_uid

    def read_bulk(path: ElementPath, bulk: DataElement) -> bytes:
        value = bulk.value
        if not isinstance(value, BulkData) or value.length is None:
            raise CommandError(
                f"{file.path}: {keyword_of(path[0])} holds compressed images, and cannot be changed"
            )
        stored = b"".join(file.read_bulk(value.offset, value.length))
        return bytes(swap_words(stored, value.word_size))

    whole = b"".join(encode_elements(ElementSet({element.tag: element}), syntax, read_bulk))
    if element.vr == "SQ" and element.tag >> 16 & 1:
        # Without VRs, its undefined length is all that tells that it is a sequence (PS3.5 §6.2.2).
        return whole
    value = whole[12 if encoding_of(syntax).explicit and element.vr in _WIDE else 8 :]
    # The edited sequence is written with its length, and so without a delimitation item.
    return element.vr, value[:-8] if element.vr == "SQ" else value
