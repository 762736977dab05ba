"""Attributes of one frame: of the dataset, or of its functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Iterator

from pacs_core.dataset import Attributes, items, tag_of, texts
from pacs_image_export.errors import RenderError

_GROUPS = tuple(map(tag_of, ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")))
_MACROS = tuple(map(tag_of, ("FrameVOILUTSequence", "PixelValueTransformationSequence")))


class FrameAttributes:
    """Looks attributes up that may stand in functional groups.

    Parameters
    ----------
    attributes : Attributes
        Of the dataset.
    number : int
        Of the frame, from 1.
    """

    def __init__(self, attributes: Attributes, number: int) -> None:
        self._places = [*_groups(attributes, number), attributes]

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute; none if it is absent."""
        tag = tag_of(keyword)
        return next((found for place in self._places if (found := texts(place, tag))), ())

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the values of a DS or US attribute.

        Raises
        ------
        RenderError
            One of them is no number.
        """
        try:
            return tuple(map(float, self.texts(keyword)))
        except ValueError:
            raise RenderError(f"{keyword} is {self.texts(keyword)!r}: no numbers") from None


def _groups(attributes: Attributes, number: int) -> Iterator[Attributes]:
    per_frame, shared = (items(attributes, tag) for tag in _GROUPS)
    for group in (*per_frame[number - 1 : number], *shared[:1]):
        for macro in _MACROS:
            yield from items(group, macro)[:1]
