"""Metadata with bulk data beside them, put together to datasets (PS3.18 §10.5.2, §8.7.3.2).

The parts of metadata are read as a whole, up to a limit. Bulk data lie in a temporary file until
all parts are there, because metadata may come before or behind what they refer to, and Pixel Data
go from there to the archive as a stream; other values are put into the dataset.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import IO, Final, Self

import anyio.to_thread
from attrs import define, field, frozen
from pacs_web.api.media_types import media_type

from pacs_core.contracts import InvalidInstanceError
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementPath,
    ElementSet,
    UnencodableValue,
    element_header,
    encode_elements,
    encoding_of,
    tag_of,
)
from pacs_core.dataset.json_model import read_json
from pacs_core.dataset.xml_model import read_xml
from pacs_dicomweb.incoming import (
    IncomingFile,
    StudyMismatchError,
    UnidentifiedError,
    check_study,
)
from pacs_dicomweb.multipart import Part
from pacs_dicomweb.pixel_media_types import OCTETS, SYNTAXES, VIDEOS, stored_syntax

JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"

_PIXEL_DATA: Final = 0x7FE00010
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = b"\xfe\xff\x00\xe0"
_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_CHUNK: Final = 1 << 18
_UIDS: Final = tuple(map(tag_of, ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")))


class TooMuchMetadataError(ValueError):
    """Metadata, or bulk data that are no Pixel Data, exceed what is held in memory."""


@frozen
class BulkPart:
    """Where a part of bulk data lies, and its media type."""

    offset: int
    length: int
    content_type: str


@define
class Models:
    """Metadata and bulk data of a request; a context manager, which forgets them.

    Attributes
    ----------
    limit : int
        Bytes of metadata, and again of bulk data that are no Pixel Data.
    """

    limit: int
    _texts: list[tuple[str, bytes]] = field(factory=list)
    _parts: dict[str, list[BulkPart]] = field(factory=dict)
    _references: list[str] = field(factory=list)
    _file: IO[bytes] = field(factory=tempfile.TemporaryFile)
    _size: int = 0
    _length: int = 0
    _read: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    async def take(self, part: Part) -> None:
        """Take a part: metadata, or bulk data under their Content-Location.

        Raises
        ------
        TooMuchMetadataError
            There are more metadata than the limit.
        """
        content_type = part.headers.get("content-type", OCTETS)
        named = media_type(content_type)
        if named is not None and named.name in {JSON, XML}:
            pieces: list[bytes] = []
            async for piece in part:
                self._length += len(piece)
                if self._length > self.limit:
                    raise TooMuchMetadataError(
                        f"there are more than {self.limit} bytes of metadata"
                    )
                pieces.append(piece)
            self._texts.append((named.name, b"".join(pieces)))
            return
        start = self._size
        async for piece in part:
            await anyio.to_thread.run_sync(self._file.write, piece)
            self._size += len(piece)
        location = part.headers.get("content-location") or part.headers.get("content-id", "")
        found = BulkPart(start, self._size - start, content_type)
        self._parts.setdefault(_plain(location), []).append(found)

    async def datasets(self) -> list[ElementSet]:
        """Return what the metadata describe, references and all.

        Raises
        ------
        MalformedModel
            They are no DICOM JSON or Native DICOM Model.
        """
        found: list[ElementSet] = []
        for kind, text in self._texts:
            run = anyio.to_thread.run_sync
            if kind == XML:
                found.append(await run(partial(read_xml, text, fetch=self._refer)))
            else:
                found += await run(partial(read_json, text, fetch=self._refer))
        return found

    def _refer(self, path: ElementPath, vr: str, reference: str) -> BulkData:
        """Note what is referred to: where the value lies is known when all parts are there."""
        self._references.append(_plain(reference))
        return BulkData(len(self._references) - 1, 0)

    async def file(self, elements: ElementSet, study: str) -> IncomingFile:
        """Return the file that a dataset of metadata makes with its bulk data.

        Its dataset raises `StudyMismatchError` if it is of another study, and
        `InvalidInstanceError` if bulk data are not there or cannot be encoded.

        Raises
        ------
        UnidentifiedError
            It has no UIDs.
        """
        uids = ("".join(elements.texts(tag)) for tag in _UIDS)
        sop_class, sop_instance, own_study = uids
        if not sop_class or not sop_instance:
            raise UnidentifiedError("its metadata have no SOP Class UID or no SOP Instance UID")
        try:
            check_study(own_study, study)
            syntax, dataset = await self._dataset(elements)
        except (InvalidInstanceError, StudyMismatchError) as error:
            # Its UIDs are known, so that it fails as the instance that it is.
            syntax, dataset = EXPLICIT_VR_LITTLE_ENDIAN, _failing(error)
        return IncomingFile(sop_class, sop_instance, syntax, dataset)

    async def _dataset(self, elements: ElementSet) -> tuple[str, AsyncIterator[bytes]]:
        """Return the transfer syntax and the content of a dataset."""
        pixels = elements.elements.get(_PIXEL_DATA)
        parts = self._bulk(pixels) if pixels is not None else []
        syntax = await self._syntax_of(parts)
        before = self._encode(elements, lambda tag: 0x0002FFFF < tag < _PIXEL_DATA)
        after = self._encode(elements, lambda tag: tag > _PIXEL_DATA)
        middle = self._pixels(pixels, parts, syntax) if pixels is not None else None
        return syntax, _join(await before, middle, await after)

    def _bulk(self, element: DataElement) -> list[BulkPart]:
        """Return the parts that a reference names; none if the element has its value."""
        if not isinstance(element.value, BulkData):
            return []
        reference = self._references[element.value.offset]
        found = self._parts.get(reference)
        if found is None:
            # A reference may be relative, and a location absolute, or the other way round.
            ends = [name for name in self._parts if name and _ends_alike(name, reference)]
            found = self._parts[ends[0]] if len(ends) == 1 else None
        if found is None:
            raise InvalidInstanceError(f"no part has the bulk data {reference[:100]!r}")
        return found

    async def _syntax_of(self, parts: list[BulkPart]) -> str:
        """Return the transfer syntax of Pixel Data that come as parts (PS3.18 Table 8.7.3-5)."""
        named = media_type(parts[0].content_type) if parts else None
        if named is None:
            return EXPLICIT_VR_LITTLE_ENDIAN
        if named.transfer_syntax and encoding_of(named.transfer_syntax).encapsulated:
            return named.transfer_syntax
        beginning = b"".join([piece async for piece in self._stream([parts[0]], _CHUNK)])
        syntax = stored_syntax(named.name, beginning)
        if syntax is None:
            raise InvalidInstanceError(
                f"{named.name[:100]} is no media type of Pixel Data; send "
                f"{', '.join((OCTETS, *SYNTAXES, *VIDEOS))}"
            )
        return syntax

    async def _encode(self, elements: ElementSet, wanted: Callable[[int], bool]) -> bytes:
        chosen = {tag: e for tag, e in elements.elements.items() if wanted(tag)}
        part = ElementSet(chosen, elements.character_sets)

        def encode() -> bytes:
            pieces = encode_elements(part, EXPLICIT_VR_LITTLE_ENDIAN, self._value)
            return b"".join(pieces)

        try:
            return await anyio.to_thread.run_sync(encode)
        except (UnencodableValue, TooMuchMetadataError) as error:
            raise InvalidInstanceError(str(error)) from error

    def _value(self, path: ElementPath, element: DataElement) -> bytes:
        value = b"".join(self._contents(self._bulk(element)))
        return value + b"\0" * (len(value) % 2)

    def _contents(self, parts: list[BulkPart]) -> Iterator[bytes]:
        for part in parts:
            self._read += part.length
            if self._read > self.limit:
                raise TooMuchMetadataError(f"bulk data have more than {self.limit} bytes")
            self._file.seek(part.offset)
            yield self._file.read(part.length)

    async def _pixels(
        self, element: DataElement, parts: list[BulkPart], syntax: str
    ) -> AsyncIterator[bytes]:
        """Iterate over the element Pixel Data; compressed, each part is a frame (PS3.5 A.4)."""
        if not isinstance(element.value, BulkData):
            value = element.value if isinstance(element.value, bytes) else b""
            yield element_header(_PIXEL_DATA, element.vr, len(value), EXPLICIT_VR_LITTLE_ENDIAN)
            yield value
            return
        if not encoding_of(syntax).encapsulated:
            length = sum(part.length for part in parts)
            vr = element.vr if element.vr in {"OB", "OW"} else "OW"
            yield element_header(_PIXEL_DATA, vr, length + length % 2, EXPLICIT_VR_LITTLE_ENDIAN)
            async for piece in self._stream(parts):
                yield piece
            yield b"\0" * (length % 2)
            return
        yield element_header(_PIXEL_DATA, "OB", _UNDEFINED, EXPLICIT_VR_LITTLE_ENDIAN)
        yield _ITEM + bytes(4)  # an empty Basic Offset Table
        for part in parts:
            yield _ITEM + (part.length + part.length % 2).to_bytes(4, "little")
            async for piece in self._stream([part]):
                yield piece
            yield b"\0" * (part.length % 2)
        yield _END

    async def _stream(self, parts: list[BulkPart], most: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over the contents of parts, or over the beginning of each of them."""

        def read(position: int, length: int) -> bytes:
            self._file.seek(position)
            return self._file.read(length)

        for part in parts:
            position, end = part.offset, part.offset + min(part.length, most or part.length)
            while position < end:
                chunk = await anyio.to_thread.run_sync(read, position, min(_CHUNK, end - position))
                position += len(chunk)
                yield chunk


async def _failing(error: Exception) -> AsyncIterator[bytes]:
    raise error
    yield b""


async def _join(
    before: bytes, middle: AsyncIterator[bytes] | None, after: bytes
) -> AsyncIterator[bytes]:
    yield before
    if middle is not None:
        async for piece in middle:
            yield piece
    if after:
        yield after


def _plain(reference: str) -> str:
    return reference.strip().removeprefix("cid:").strip("<>")


def _ends_alike(one: str, other: str) -> bool:
    """Tell whether one reference is the other with something before it."""
    short, long = sorted((one, other), key=len)
    return long.endswith("/" + short.lstrip("./"))
