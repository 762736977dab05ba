"""Regions of images in which devices burn text in (PS3.15 E.3.1)."""

from collections.abc import Iterable

from attrs import frozen
from pydicom.dataset import Dataset


@frozen
class Region:
    """A rectangle of an image, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@frozen(kw_only=True)
class RegionRule:
    """Where images of a device have text.

    Attributes
    ----------
    sop_class_uid : str
        Empty for any, as all that follow.
    modality, manufacturer, model : str
        Beginnings of Modality (0008,0060), Manufacturer (0008,0070) and Manufacturer's Model Name
        (0008,1090), whatever their case.
    rows, columns : int
        0 for any.
    regions : tuple of Region
        What is blanked. None: the device burns nothing in.
    outside_ultrasound_regions : bool
        Whether all is blanked that is in no region of Sequence of Ultrasound Regions (0018,6011).
    no_faces : bool
        Whether its images show nobody's face, nor does what is made of them.
    """

    sop_class_uid: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    rows: int = 0
    columns: int = 0
    regions: tuple[Region, ...] = ()
    outside_ultrasound_regions: bool = False
    no_faces: bool = False

    def matches(self, dataset: Dataset) -> bool:
        """Whether the rule is for an image."""
        begins = (
            (self.modality, "Modality"),
            (self.manufacturer, "Manufacturer"),
            (self.model, "ManufacturerModelName"),
        )
        equal = (
            (self.sop_class_uid, "SOPClassUID"),
            (self.rows, "Rows"),
            (self.columns, "Columns"),
        )
        return all(
            str(dataset.get(keyword, "")).strip().casefold().startswith(text.casefold())
            for text, keyword in begins
        ) and all(not value or dataset.get(keyword) == value for value, keyword in equal)

    def blank(self, dataset: Dataset) -> list[Region]:
        """Return what of an image is blanked."""
        if not self.outside_ultrasound_regions:
            return list(self.regions)
        shown = [
            _ultrasound_region(item) for item in dataset.get("SequenceOfUltrasoundRegions", ())
        ]
        rest = [Region(0, 0, int(dataset.Columns), int(dataset.Rows))]
        for region in shown:
            rest = [piece for each in rest for piece in _subtract(each, region)]
        return [*self.regions, *rest]


def find_regions(rules: Iterable[RegionRule], dataset: Dataset) -> list[Region] | None:
    """Return what of an image is blanked by the first rule that matches, None if none does."""
    rule = find_rule(rules, dataset)
    return rule.blank(dataset) if rule else None


def find_rule(rules: Iterable[RegionRule], dataset: Dataset) -> RegionRule | None:
    """Return the first rule that matches an image, None if none does."""
    return next((rule for rule in rules if rule.matches(dataset)), None)


def _ultrasound_region(item: Dataset) -> Region:
    # Both corners are within the region (PS3.3 C.8.5.5.1.16).
    x, y = int(item.RegionLocationMinX0), int(item.RegionLocationMinY0)
    return Region(
        x, y, int(item.RegionLocationMaxX1) - x + 1, int(item.RegionLocationMaxY1) - y + 1
    )


def _subtract(whole: Region, part: Region) -> list[Region]:
    """Return rectangles that make up what of one rectangle is not in another."""
    left, top = max(whole.x, part.x), max(whole.y, part.y)
    right = min(whole.x + whole.width, part.x + part.width)
    bottom = min(whole.y + whole.height, part.y + part.height)
    if left >= right or top >= bottom:
        return [whole]
    end_x, end_y = whole.x + whole.width, whole.y + whole.height
    pieces = (
        Region(whole.x, whole.y, whole.width, top - whole.y),
        Region(whole.x, bottom, whole.width, end_y - bottom),
        Region(whole.x, top, left - whole.x, bottom - top),
        Region(right, top, end_x - right, bottom - top),
    )
    return [piece for piece in pieces if piece.width and piece.height]
