"""Datasets of pydicom, from bytes and to bytes (PS3.5 §7).

Importing pydicom takes longer than starting a node, so it is imported when a dataset is decoded;
who encodes one has imported it. Structure is checked here, because pydicom takes a dataset that
breaks off for one that ends; values are converted by pydicom, each when it is looked at. Byte order
and deflation are converted here as well, because pydicom leaves the bytes of Pixel Data as they are
and inflates without a bound.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pacs_core.dataset.charset import UTF_8, defined_terms, expresses
from pacs_core.dataset.errors import DatasetTooLarge, MalformedDataset, UnencodableValue
from pacs_core.dataset.inflate import deflate
from pacs_core.dataset.layout import FOREIGN_GROUPS
from pacs_core.dataset.model import (
    PIXEL_DATA_TAGS,
    SPECIFIC_CHARACTER_SET,
    Attributes,
    PixelDataElement,
)
from pacs_core.dataset.recoder import DatasetRecoder
from pacs_core.dataset.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
    name_of,
)

# Theory of operation
#
# pydicom is what authors think in, and it is lenient in ways that an archive cannot be: it takes a
# dataset that breaks off for one that ends, inflates without a bound, and recurses as deeply as a
# dataset nests. So what comes from outside goes through `DatasetRecoder` first, which has checked
# the structure, bounded length and depth, and brought byte order and deflation into the one form
# that pydicom has no choices in. Only then pydicom reads it.
#
# On the way out it is the other way round. pydicom writes little endian, or big endian where a
# dataset was read so, and the recoder makes of it what the transfer syntax wants. Pixel Data are
# not converted here: a Dataset says in which form they are, and a wrong one is refused with what to
# do about it.
#
# Text is the one thing that is changed without being asked. What the dataset's character set cannot
# express would be written as question marks, so all of it becomes Unicode then.

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.tag import BaseTag
    from typing_extensions import TypeIs

DatasetT = TypeVar("DatasetT", Attributes, "Dataset")
"""Either kind of dataset: who asks with one is answered with the same."""

_PIXEL_DATA: Final = 0x7FE0_0010
_TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_PIECE: Final = 4096
_ITEM: Final = b"\xfe\xff\x00\xe0"


def is_pydicom_dataset(value: object) -> "TypeIs[Dataset]":
    """Whether this is a Dataset of pydicom; does not import it."""
    pydicom = sys.modules.get("pydicom")
    return pydicom is not None and isinstance(value, pydicom.Dataset)


def decode_dataset(
    data: bytes | memoryview, transfer_syntax_uid: str, *, max_length: int | None = None
) -> "Dataset":
    """Decode a dataset with pydicom.

    Parameters
    ----------
    data : bytes or memoryview
        The encoded dataset, without File Meta Information.
    transfer_syntax_uid : str
        How it is encoded.
    max_length : int, optional
        Bytes that it may have, inflated.

    Returns
    -------
    pydicom.Dataset
        In little endian, whatever it was. Values are converted when they are looked at: pydicom
        raises :class:`ValueError` there for what it cannot convert.

    Raises
    ------
    MalformedDataset
        If it is truncated, too long, too deep, or not in that transfer syntax.
    """
    decoder = DatasetDecoder(transfer_syntax_uid, max_length=max_length)
    decoder.feed(data)
    return decoder.finish()


class DatasetDecoder:
    """Takes a dataset piece by piece, and holds what :meth:`finish` gives to pydicom.

    Parameters
    ----------
    transfer_syntax_uid : str
    stop_before_pixels : bool
        Take nothing from top-level Pixel Data, Float Pixel Data or Double Float Pixel Data on.
    max_length : int, optional
        Bytes that the dataset may have, as far as it is taken, inflated.

    Attributes
    ----------
    has_stopped : bool
        Pixel Data were reached: nothing more needs to be fed.
    transfer_syntax_uid : str
        What the dataset that :meth:`finish` returns is in.
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        *,
        stop_before_pixels: bool = False,
        max_length: int | None = None,
    ) -> None:
        encoding = encoding_of(transfer_syntax_uid)
        # What pydicom reads as it is: nothing is copied for those.
        plain = encoding.little_endian and not encoding.deflated
        target = transfer_syntax_uid if plain else EXPLICIT_VR_LITTLE_ENDIAN
        self._recoder = DatasetRecoder(
            transfer_syntax_uid, target, stops_at_pixel_data=stop_before_pixels
        )
        self.transfer_syntax_uid = target
        self._piece = _PIECE if encoding.deflated else sys.maxsize
        self._max_length = sys.maxsize if max_length is None else max_length
        self._parts: list[bytes | memoryview] = []
        self._length = 0
        self.has_stopped = False

    @property
    def length(self) -> int:
        """Bytes that were taken."""
        return self._length

    @property
    def pixel_data(self) -> PixelDataElement | None:
        """The header of the Pixel Data before which it has stopped; None if there are none."""
        return self._recoder.pixel_data

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises
        ------
        MalformedDataset
            This can be no dataset in the transfer syntax; :class:`DatasetTooLarge` if it is longer
            than allowed.
        """
        for start in range(0, len(data), self._piece):
            if self.has_stopped:
                return
            try:
                pieces = self._recoder.feed(data[start : start + self._piece])
            except UnencodableValue as error:
                raise MalformedDataset(str(error), self._length) from error
            self._keep(pieces)
            self.has_stopped = self._recoder.pixel_data is not None

    def _keep(self, pieces: "list[bytes] | list[bytes | memoryview]") -> None:
        self._parts.extend(pieces)
        self._length += sum(map(len, pieces))
        if self._length > self._max_length:
            raise DatasetTooLarge(self._max_length)

    def finish(self) -> "Dataset":
        """Return the dataset.

        Raises
        ------
        MalformedDataset
            It ends too early, or pydicom cannot read it.
        """
        from pydicom.filereader import read_dataset

        if not self.has_stopped:
            self._keep(self._recoder.finish())
        try:
            is_implicit = not encoding_of(self.transfer_syntax_uid).explicit
            stream = BytesIO(b"".join(self._parts))
            dataset = read_dataset(stream, is_implicit, True)
            # A delimiter too many ends pydicom's reading, but not the dataset.
            while stream.tell() < self._length:
                dataset.update(read_dataset(stream, is_implicit, True))
        except Exception as error:  # of many kinds, RecursionError among them
            what = f"pydicom cannot read it: {type(error).__name__}: {error}"
            raise MalformedDataset(what, 0) from error
        for tag in _foreign_tags(dataset):  # zeros that pad it, for one
            del dataset[tag]
        return dataset


def decode_file_meta(prefix: bytes, transfer_syntax_uid: str) -> "FileMetaDataset":
    """Decode the File Meta Information of a Part 10 object.

    Parameters
    ----------
    prefix : bytes
        The object up to its dataset.
    transfer_syntax_uid : str
        What to put for its Transfer Syntax UID.
    """
    from pydicom import dcmread
    from pydicom.uid import UID

    file_meta = dcmread(BytesIO(prefix), force=True).file_meta
    file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    return file_meta


def encode_dataset(dataset: "Dataset", transfer_syntax_uid: str) -> bytes:
    """Encode a Dataset of pydicom, without its File Meta Information.

    Text that the dataset's Specific Character Set cannot express, or the default repertoire where
    it names none, is written in Unicode: Specific Character Set ISO_IR 192 (PS3.3 C.12.1.1.2).

    Parameters
    ----------
    dataset : pydicom.Dataset
        Its Pixel Data, if any, are in the form of that transfer syntax; byte order does not matter.
    transfer_syntax_uid : str
        How to encode it.

    Raises
    ------
    UnencodableValue
        If a value is not one of its value representation, or Pixel Data would have to be compressed
        or decompressed.
    """
    target = encoding_of(transfer_syntax_uid)
    _check_pixel_data(dataset, transfer_syntax_uid)
    is_big_endian = dataset.original_encoding[1] is False
    try:
        if not all(_are_expressed(dataset, ())):
            dataset = _in_unicode(dataset)
            dataset.SpecificCharacterSet = UTF_8
        if is_big_endian or not target.little_endian:
            source = EXPLICIT_VR_BIG_ENDIAN if is_big_endian else EXPLICIT_VR_LITTLE_ENDIAN
            written = _write(dataset, is_implicit=False, is_little_endian=not is_big_endian)
            recoder = DatasetRecoder(source, transfer_syntax_uid)
            return b"".join([*recoder.feed(written), *recoder.finish()])
        written = _write(dataset, is_implicit=not target.explicit, is_little_endian=True)
    except Exception as error:  # pydicom raises whatever a wrong value leads to
        raise UnencodableValue(f"pydicom cannot encode the dataset: {error}") from error
    return deflate(written) if target.deflated else written


def transfer_syntax_of(dataset: "Dataset") -> str | None:
    """Return the transfer syntax that a dataset's File Meta Information names, if it has one."""
    file_meta = getattr(dataset, "file_meta", None)
    uid = file_meta.get("TransferSyntaxUID") if file_meta is not None else None
    return str(uid) if uid else None


def has_encapsulated_pixels(dataset: "Dataset") -> bool:
    """Whether the dataset's Pixel Data are a sequence of fragments (PS3.5 A.4)."""
    if _PIXEL_DATA not in dataset:
        return False
    element = dataset[_PIXEL_DATA]
    syntax = transfer_syntax_of(dataset)
    return bool(element.is_undefined_length) or (
        syntax is not None and encoding_of(syntax).encapsulated
    )


def _check_pixel_data(dataset: "Dataset", transfer_syntax_uid: str) -> None:
    if foreign := _foreign_tags(dataset):
        raise UnencodableValue(f"{foreign[0]} is no element of a dataset (PS3.5 §7.1)")
    if PIXEL_DATA_TAGS.isdisjoint(dataset.keys()):
        return
    own = transfer_syntax_of(dataset)
    encapsulated = has_encapsulated_pixels(dataset)
    wanted = encoding_of(transfer_syntax_uid).encapsulated
    if encapsulated != wanted or (wanted and own not in (None, transfer_syntax_uid)):
        is_in = name_of(own) if own else "encapsulated" if encapsulated else "native"
        raise UnencodableValue(
            f"Pixel Data are {is_in}, and were to be sent in {name_of(transfer_syntax_uid)}: "
            "convert them first, or propose that transfer syntax"
        )
    # Its writer needs the mark to end the fragments with a delimiter.
    if wanted:  # as pydicom.dcmwrite does
        element = dataset[_PIXEL_DATA]
        element.is_undefined_length = bytes(element.value[:4]) == _ITEM


def _foreign_tags(dataset: "Dataset") -> "list[BaseTag]":
    return [tag for tag in dataset.keys() if tag.group in FOREIGN_GROUPS]  # noqa: SIM118


def _are_expressed(dataset: "Dataset", inherited: tuple[str, ...]) -> Iterator[bool]:
    """Yield for each text whether the Specific Character Set that applies can express it."""
    terms = _character_sets(dataset) or inherited
    for tag in dataset.keys():  # noqa: SIM118 (iterating over a dataset converts all its values)
        if dataset.get_item(tag).VR not in (*_TEXT_VRS, "SQ", None):
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _are_expressed(item, terms)
        elif element.VR in _TEXT_VRS:
            for text in map(str, _values(element)):
                yield text.isascii() or expresses(terms, element.VR, text)


def _character_sets(dataset: "Dataset") -> tuple[str, ...]:
    if SPECIFIC_CHARACTER_SET not in dataset:
        return ()
    return defined_terms(tuple(map(str, _values(dataset[SPECIFIC_CHARACTER_SET]))))


def _values(element: Any) -> list[Any]:
    if element.is_empty:
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def _in_unicode(dataset: "Dataset") -> "Dataset":
    """Return a dataset with the same values, and without a Specific Character Set in it."""
    from pydicom import DataElement, Dataset

    result = Dataset()
    for element in dataset:
        if element.VR == "SQ":
            sequence = [_in_unicode(item) for item in element.value]
            result.add(DataElement(element.tag, "SQ", sequence))
        elif element.tag != SPECIFIC_CHARACTER_SET:
            result.add(element)
    return result


def _write(dataset: "Dataset", *, is_implicit: bool, is_little_endian: bool) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = is_implicit, is_little_endian
    write_dataset(stream, dataset)
    return bytes(stream.getvalue())
