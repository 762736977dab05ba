"""Attributes of one frame: of the dataset, or of its functional groups (PS3.3 C.7.6.16)."""

import re
from collections.abc import Iterator
from io import BytesIO

from attrs import frozen
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.api.conversion import StoredFrame
from pacs_core.dataset import Attributes, items, tag_of, texts
from pacs_image_export.errors import RenderError

_PER_FRAME = tag_of("PerFrameFunctionalGroupsSequence")
_SHARED = tag_of("SharedFunctionalGroupsSequence")
_MACROS = tuple(map(tag_of, ("FrameVOILUTSequence", "PixelValueTransformationSequence")))

# `float` would read "1_000", "nan", and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

# File meta information with nothing but the transfer syntax.
_PREFIX = bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"

_Path = tuple[tuple[int, int], ...]
"""Sequences and numbers of items, from the dataset down to where attributes stand."""


def number_of(text: str) -> float | None:
    """Return the number that a text is; None if it is none."""
    text = text.strip(" \0")
    if len(text) > 32 or not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if abs(number) < 1e100 else None


@frozen
class _Place:
    """Where attributes may stand, the dataset itself or a macro of a functional group."""

    attributes: Attributes
    path: _Path


class FrameAttributes:
    """Looks attributes up that may stand in functional groups, those of the frame before others.

    Parameters
    ----------
    frame : StoredFrame

    Attributes
    ----------
    warnings : list of str
        What was odd and is put up with, in the order in which it was met.
    """

    def __init__(self, frame: StoredFrame) -> None:
        self.warnings: list[str] = []
        self._header = frame.header
        self._dataset: Dataset | None = None
        self._places = [
            *_groups(frame.attributes, frame.number),
            _Place(frame.attributes, ()),
        ]

    def warn(self, text: str) -> None:
        """Note that something is odd, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute; none if it is absent."""
        tag = tag_of(keyword)
        return next(
            (found for place in self._places if (found := texts(place.attributes, tag))), ()
        )

    def values_together(self, *keywords: str) -> tuple[tuple[str, ...], ...]:
        """Return the values of attributes that belong together: all of one place."""
        tags = tuple(map(tag_of, keywords))
        for place in self._places:
            found = tuple(texts(place.attributes, tag) for tag in tags)
            if any(found):
                return found
        return tuple(() for _ in keywords)

    def number(self, keyword: str, values: tuple[str, ...], default: float) -> float:
        """Return the first value of an attribute as a number, `default` if it is none."""
        if not values:
            return default
        number = number_of(values[0])
        if number is None:
            self.warn(f"{keyword} is {values[0][:32]!r}, which is no number: taken as {default:g}")
            return default
        return number

    def items(self, keyword: str) -> list[Dataset]:
        """Return the items of a sequence, bulk data included; those of the first place with any."""
        tag = tag_of(keyword)
        for place in self._places:
            if items(place.attributes, tag):
                try:
                    # The path leads through the same sequences in the dataset that pydicom reads:
                    # the header walk, which found the place, kept no bulk data.
                    dataset = self.dataset()
                    for sequence, item in place.path:
                        dataset = dataset[sequence].value[item]
                    return list(dataset[tag].value)
                except Exception:
                    self.warn(f"{keyword} cannot be read and is ignored")
                    return []
        return []

    def dataset(self) -> Dataset:
        """Return the header, bulk data included.

        Raises
        ------
        RenderError
            It cannot be read.
        """
        if self._dataset is None:
            try:
                self._dataset = dcmread(BytesIO(_PREFIX + self._header), force=True)
            except Exception as error:
                raise RenderError("what stands before Pixel Data cannot be read") from error
        return self._dataset


def raw_value(dataset: Dataset, tag: int) -> bytes:
    """Return the bytes of a value, whatever its VR; none if it is absent or a sequence."""
    # Conversion by VR would fail for values that do not fit it.
    element = dataset.get_item(tag, keep_deferred=True)
    value = None if element is None else element.value
    return value if isinstance(value, bytes) else b""


def _groups(attributes: Attributes, number: int) -> Iterator[_Place]:
    for sequence, item in ((_PER_FRAME, number - 1), (_SHARED, 0)):
        for group in items(attributes, sequence)[item : item + 1]:
            for macro in _MACROS:
                for place in items(group, macro)[:1]:
                    yield _Place(place, ((sequence, item), (macro, 0)))
