"""``pacs diff``: what two files differ in."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

from attrs import frozen

from pacs_core.api.file_commands import (
    CommandError,
    JsonOption,
    Option,
    UsageError,
    complain,
    dump_json,
    escape,
)
from pacs_core.dataset import (
    BULK_VRS,
    BulkData,
    DataElement,
    ElementSet,
    UnknownAttribute,
    keyword_of,
    swap_words,
    tag_of,
)
from pacs_tools.files import DicomFile, open_named
from pacs_tools.styles import Style, style_for
from pacs_tools.values import show_value

_CHARACTER_SET: Final = 0x0008_0005
_NUMBERS: Final = frozenset({"DS", "IS"})
"""Representations of numbers that have many spellings of one (PS3.5 §6.2)."""


@frozen
class Difference:
    """An element that one of two files lacks, or that differs.

    Attributes
    ----------
    path : str
        Keywords and numbers of items: ``ReferencedImageSequence[1].ReferencedSOPInstanceUID``.
    kind : str
        Where it is: only in the "first", only in the "second", or in "both", and different.
    first, second : str
        The values; empty where it is not.
    """

    path: str
    kind: Literal["first", "second", "both"]
    first: str = ""
    second: str = ""

    def plain(self) -> dict[str, str]:
        """Return it as JSON has it."""
        found = {"first": self.first, "second": self.second}
        values = {name: text for name, text in found.items() if self.kind in {name, "both"}}
        return {"path": self.path, "in": self.kind, **values}


def diff(
    first: Path,
    second: Path,
    /,
    *,
    ignore: Annotated[list[str] | None, Option("--ignore", "-i")] = None,
    bytes_of_values: Annotated[bool, Option("--bytes")] = False,
    json: JsonOption = False,
) -> int:
    """Name what two DICOM files differ in.

    The exit code is 1 if there is anything. Values are compared by what they say, not by character
    set, padding, order of bytes, or spelling of a number, and compressed pixels are decoded. So
    the same dataset in another transfer syntax differs in that only.

    Parameters
    ----------
    first
    second
    ignore
        Attributes not to compare, by keyword or tag, at any depth; may be given several times.
    bytes_of_values
        Compare VRs and the bytes of values instead, little endian.
    json
        Print one JSON object for each difference.
    """
    try:
        ignored = {tag_of(each) for each in ignore or ()}
    except UnknownAttribute as error:
        raise UsageError(f"--ignore: {error}") from error
    with _open(first) as one, _open(second) as other:
        comparison = Comparison(one, other, frozenset(ignored), bytes_of_values)
        differences = 0
        style = style_for()
        for each in comparison.differences():
            differences += 1
            if json:
                print(dump_json(each.plain()))
                continue
            print(*show_difference(each, style), sep="\n")
        for file in (one, other):
            if file.damage:
                raise CommandError(f"{file.path}: damaged: {file.damage}")
    return 1 if differences else 0


def show_difference(difference: Difference, style: Style) -> Iterator[str]:
    """Iterate over the lines of a difference: what the first has, what the second has."""
    if difference.kind != "second":
        yield style("old", f"- {difference.path}: {difference.first}")
    if difference.kind != "first":
        yield style("new", f"+ {difference.path}: {difference.second}")


def _open(path: Path) -> DicomFile:
    return open_named(path)


@frozen
class Comparison:
    """Two files, and what of them is compared.

    Attributes
    ----------
    first, second : DicomFile
    ignored : frozenset of int
        Tags.
    exact : bool
        Compare bytes, not what they say.
    """

    first: DicomFile
    second: DicomFile
    ignored: frozenset[int]
    exact: bool

    def differences(self) -> Iterator[Difference]:
        """Iterate over the differences, in the order of tags."""
        meta = self.first.meta.transfer_syntax_uid, self.second.meta.transfer_syntax_uid
        if meta[0] != meta[1] and 0x0002_0010 not in self.ignored:
            yield Difference("TransferSyntaxUID", "both", escape(meta[0]), escape(meta[1]))
        yield from self._compare(self.first.elements, self.second.elements, "")

    def _compare(self, one: ElementSet, other: ElementSet, path: str) -> Iterator[Difference]:
        starts = self.first.dataset_offset, self.second.dataset_offset
        for tag in sorted(one.elements.keys() | other.elements.keys()):
            if tag in self.ignored or (tag == _CHARACTER_SET and not self.exact):
                continue
            here = f"{path}{keyword_of(tag)}"
            first, second = one.elements.get(tag), other.elements.get(tag)
            if first is None and second is not None:
                yield Difference(here, "second", second=show_value(second, other, starts[1]))
            elif second is None and first is not None:
                yield Difference(here, "first", first=show_value(first, one, starts[0]))
            elif first is not None and second is not None:
                yield from self._compare_one((first, one), (second, other), here)

    def _compare_one(
        self, one: tuple[DataElement, ElementSet], other: tuple[DataElement, ElementSet], path: str
    ) -> Iterator[Difference]:
        first, second = one[0], other[0]
        if first.vr == "SQ" and second.vr == "SQ":
            for number in range(max(len(first.items), len(second.items))):
                here = f"{path}[{number + 1}]"
                if number >= len(first.items):
                    yield Difference(here, "second", second="an item")
                elif number >= len(second.items):
                    yield Difference(here, "first", first="an item")
                else:
                    yield from self._compare(first.items[number], second.items[number], f"{here}.")
        elif not self._same(one, other):
            starts = self.first.dataset_offset, self.second.dataset_offset
            texts = show_value(*one, starts[0]), show_value(*other, starts[1])
            if path == "PixelData" and not self.exact:
                found = self._compare_pixels()
                if not found and _is_encapsulated(first, second):
                    return
                texts = texts[0], f"{texts[1]} ({found or 'bytes differ, but no sample'})"
            if texts[0] == texts[1]:
                texts = f"{first.vr} {texts[0]}", f"{second.vr} {texts[1]} (bytes differ)"
            yield Difference(path, "both", *texts)

    def _same(
        self, one: tuple[DataElement, ElementSet], other: tuple[DataElement, ElementSet]
    ) -> bool:
        first, second = one[0], other[0]
        if isinstance(first.value, bytes) and isinstance(second.value, bytes):
            if first.value == second.value or self.exact:
                return first.value == second.value and (first.vr == second.vr or not self.exact)
            if first.vr in BULK_VRS or second.vr in BULK_VRS:
                return False
            texts = one[1].texts(first.tag), other[1].texts(first.tag)
            return texts[0] == texts[1] or (
                first.vr in _NUMBERS and _numbers(texts[0]) == _numbers(texts[1]) is not None
            )
        return self._digest(self.first, first) == self._digest(self.second, second)

    def _compare_pixels(self) -> str:
        """Return in what decoded pixels differ; nothing if they are the same."""
        # It brings the codecs, which nothing else here needs.
        from pacs_tools.decoded_pixels import compare_pixels

        try:
            return compare_pixels(self.first.path, self.second.path)
        except CommandError as error:
            complain(str(error))
            return "bytes differ, which cannot be decoded"

    def _digest(self, file: DicomFile, element: DataElement) -> bytes:
        digest = sha256()
        for block in _bytes_of(file, element):
            digest.update(block)
        return digest.digest()


def _is_encapsulated(*elements: DataElement) -> bool:
    return any(isinstance(each.value, BulkData) and each.value.length is None for each in elements)


def _numbers(texts: tuple[str, ...]) -> tuple[Decimal, ...] | None:
    try:
        return tuple(Decimal(text) if text else Decimal(0) for text in texts)
    except InvalidOperation:
        return None


def _bytes_of(file: DicomFile, element: DataElement) -> Iterator[bytes]:
    """Iterate over the bytes of a value, encapsulated Pixel Data to the end of the file."""
    if isinstance(element.value, bytes):
        yield element.value
    elif isinstance(element.value, BulkData):
        length, word = element.value.length, element.value.word_size
        blocks = file.read_bulk(element.value.offset, file.size if length is None else length)
        yield from (bytes(swap_words(block, word)) for block in blocks)
