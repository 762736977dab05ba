"""Softcopy presentation states, applied to the images that they refer to (PS3.3 A.33, PS3.4 N).

How it works: a presentation state says anew what an image's own header says about grey levels, so
that it is merged into the header, and the renderer needs no other pipeline: its Modality LUT, the
Softcopy VOI LUT of the image and the Presentation LUT take the place of the image's, also where the
state has none (PS3.4 N.2). The SOP Class becomes that of the state: the Modality LUT of an X-Ray
angiographic image is not for display, but that of its state is. Overlay planes that the state
activates (C.11.7), its own or the image's, are all that the header keeps of them. What follows the
grey levels becomes options of the renderer: shutters, rotation, flip, displayed area, and graphics.
So do masks (C.11.13), for which it takes more frames than are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import (
    Graphic,
    RenderingOptions,
    Shutter,
    SourceRegion,
    Subtraction,
    Viewport,
)
from pacs_core.dataset import DataElement, ElementSet, tag_of

GREY_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.2"
STATES: Final = frozenset({GREY_STATE, COLOUR_STATE})
"""Grayscale and Color Softcopy Presentation State Storage."""

MOST_GRAPHICS: Final = 1000
MOST_POINTS: Final = 100_000
MOST_MASKED: Final = 1000
"""Frames that are averaged, at most."""

_MODALITY: Final = tuple(
    map(tag_of, ("ModalityLUTSequence", "RescaleIntercept", "RescaleSlope", "RescaleType"))
)
_VOI: Final = tuple(
    map(tag_of, ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"))
)
_PRESENTATION: Final = tuple(map(tag_of, ("PresentationLUTSequence", "PresentationLUTShape")))
_FUNCTIONAL_GROUPS: Final = tuple(
    map(tag_of, ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"))
)
_SOP_CLASS: Final = tag_of("SOPClassUID")
_REFERENCED: Final = tag_of("ReferencedImageSequence")
_OVERLAYS: Final = range(0x6000, 0x6020, 2)
_OVERLAY_DATA: Final = 0x3000
_LAYER: Final = 0x1001
_EDGES: Final = (
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)


@frozen
class ReferencedImage:
    """An image that a presentation state is for; no frames are all."""

    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...]


@frozen
class PresentationState:
    """A presentation state.

    Attributes
    ----------
    elements : ElementSet
    """

    elements: ElementSet

    @property
    def images(self) -> tuple[ReferencedImage, ...]:
        """The images that it is for, in its order."""
        return tuple(
            ReferencedImage(
                _text(series, "SeriesInstanceUID"),
                _text(image, "ReferencedSOPInstanceUID"),
                _numbers(image, "ReferencedFrameNumber"),
            )
            for series in _items(self.elements, "ReferencedSeriesSequence")
            for image in _items(series, "ReferencedImageSequence")
        )

    def merge(self, header: ElementSet, uid: str, frame: int) -> ElementSet:
        """Return an image's header with what the state says of its grey levels.

        Parameters
        ----------
        header : ElementSet
        uid : str
            SOP Instance UID of the image.
        frame : int
        """
        replaced = {*_MODALITY, *_VOI, *_PRESENTATION, *_FUNCTIONAL_GROUPS}
        elements = {
            tag: e
            for tag, e in header.elements.items()
            if tag not in replaced and tag >> 16 not in _OVERLAYS
        }
        for group in (*self._overlays, self._bitmap):
            own = group << 16 | _OVERLAY_DATA in self.elements.elements
            source = self.elements if own else header
            elements |= {tag: e for tag, e in source.elements.items() if tag >> 16 == group}
        elements |= self._own(self.elements, (_SOP_CLASS, *_MODALITY, *_PRESENTATION))
        for item in _items(self.elements, "SoftcopyVOILUTSequence"):
            if _is_for(item, uid, frame):
                elements |= self._own(item, _VOI)
                break
        return ElementSet(elements, header.character_sets)

    @staticmethod
    def _own(elements: ElementSet, tags: Sequence[int]) -> Mapping[int, DataElement]:
        return {tag: elements.elements[tag] for tag in tags if tag in elements.elements}

    def adapt(self, options: RenderingOptions, uid: str, frame: int) -> RenderingOptions:
        """Return options with the state's overlays, shutters, geometry, and graphics."""
        rotation = (_numbers(self.elements, "ImageRotation") or (0,))[0] % 360
        flip = _text(self.elements, "ImageHorizontalFlip") == "Y"
        region = self._region(uid, frame)
        viewport = options.viewport
        if region is not None:
            given = viewport or Viewport(0, 0)
            viewport = evolve(given, region=given.region or region)
        graphics = tuple(self._graphics(uid, frame))[:MOST_GRAPHICS]
        return evolve(
            options,
            overlays=bool(self._overlays),
            shutters=tuple(self._shutters()),
            shutter_grey=self._shutter_grey(),
            rotation=rotation,
            flip=flip,
            viewport=viewport,
            graphics=graphics,
        )

    def subtractions(
        self, uid: str, numbers: Sequence[int], frames: int
    ) -> tuple[Subtraction, ...]:
        """Return how masks are subtracted from frames (C.11.13); nothing if there are none.

        Frames that a mask is not for are shown as they are: those that the state does not refer
        to, and those for which there are not enough others (C.7.6.10.1.1).

        Parameters
        ----------
        uid : str
            SOP Instance UID of the image.
        numbers : sequence of int
            Frames that are shown.
        frames : int
            How many the image has.
        """
        mode = _text(self.elements, "RecommendedViewingMode")
        mask = next(iter(_items(self.elements, "MaskSubtractionSequence")), None)
        if mask is None or mode == "NAT" or frames < 2:
            return ()
        referenced = {
            n for each in self.images if each.sop_instance_uid == uid for n in each.frames
        }
        operation = _text(mask, "MaskOperation")
        averaged = min(max((*_numbers(mask, "ContrastFrameAveraging"), 1)[0], 1), MOST_MASKED)
        fixed = _numbers(mask, "MaskFrameNumbers")[:MOST_MASKED]
        offset = (*_numbers(mask, "TIDOffset"), 1)[0]
        down, right = (*_floats(mask, "MaskSubPixelShift"), 0.0, 0.0)[:2]
        found = []
        for number in numbers:
            masked = {"AVG_SUB": fixed, "TID": (number - offset,)}.get(operation, ())
            contrast = tuple(range(number, number + averaged))
            needed = {*contrast, *masked} if operation == "TID" else set(contrast)
            applies = masked and (not referenced or number in referenced)
            if applies and all(1 <= each <= frames for each in needed):
                found.append(Subtraction(contrast, masked, (down, right)))
            else:
                found.append(Subtraction((number,)))
        return tuple(found) if any(each.mask for each in found) else ()

    @property
    def _overlays(self) -> tuple[int, ...]:
        """Groups of the overlay planes that are shown: those in a graphic layer (C.11.7)."""
        layered = (group for group in _OVERLAYS if _text(self.elements, group << 16 | _LAYER))
        return tuple(group for group in layered if group != self._bitmap)

    @property
    def _bitmap(self) -> int:
        """Group of the overlay plane that is a shutter (C.7.6.15); 0 if there is none."""
        if "BITMAP" not in _texts(self.elements, "ShutterShape"):
            return 0
        return next(iter(_numbers(self.elements, "ShutterOverlayGroup")), 0)

    def _shutters(self) -> Iterator[Shutter]:
        """Iterate over the shutters (C.7.6.11, C.7.6.15), each shape at most once."""
        shapes, elements = _texts(self.elements, "ShutterShape"), self.elements
        edges = [number for name in _EDGES for number in _numbers(elements, name)[:1]]
        if "RECTANGULAR" in shapes and len(edges) == len(_EDGES):
            left, right, upper, lower = edges
            yield Shutter("RECTANGULAR", ((left, upper), (right, lower)))
        centre = _numbers(elements, "CenterOfCircularShutter")
        radius = _numbers(elements, "RadiusOfCircularShutter")
        if "CIRCULAR" in shapes and len(centre) == 2 and radius:
            yield Shutter("CIRCULAR", (centre[::-1],), radius[0])
        vertices = _numbers(elements, "VerticesOfThePolygonalShutter")[: 2 * MOST_POINTS]
        if "POLYGONAL" in shapes and len(vertices) >= 6:
            points = zip(vertices[1::2], vertices[::2], strict=False)  # rows come first
            yield Shutter("POLYGONAL", tuple(points))
        if self._bitmap:
            yield Shutter("BITMAP", group=self._bitmap)

    def _shutter_grey(self) -> float:
        """Return what covers the rest: a P-Value, or the lightness of a colour (C.7.6.11)."""
        for name in ("ShutterPresentationColorCIELabValue", "ShutterPresentationValue"):
            if given := _numbers(self.elements, name):
                return min(max(given[0], 0), 0xFFFF) / 0xFFFF
        return 0.0

    def _region(self, uid: str, frame: int) -> SourceRegion | None:
        """Return the displayed area (PS3.3 C.10.4), in pixels from 0; it may exceed the image."""
        for item in _items(self.elements, "DisplayedAreaSelectionSequence"):
            corners = [
                _numbers(item, f"DisplayedArea{corner}HandCorner")
                for corner in ("TopLeft", "BottomRight")
            ]
            if _is_for(item, uid, frame) and all(len(corner) == 2 for corner in corners):
                (left, top), (right, bottom) = corners
                x, y = min(left, right) - 1, min(top, bottom) - 1
                return SourceRegion(x, y, abs(right - left) + 1, abs(bottom - top) + 1)
        return None

    def _graphics(self, uid: str, frame: int) -> Iterator[Graphic]:
        """Iterate over graphics and text (PS3.3 C.10.5)."""
        points = 0
        for annotation in _items(self.elements, "GraphicAnnotationSequence"):
            if not _is_for(annotation, uid, frame):
                continue
            for item in _items(annotation, "GraphicObjectSequence"):
                data = _floats(item, "GraphicData")
                pairs = tuple(zip(data[::2], data[1::2], strict=False))
                points += len(pairs)
                if pairs and points <= MOST_POINTS:
                    relative = _text(item, "GraphicAnnotationUnits") == "DISPLAY"
                    filled = _text(item, "GraphicFilled") == "Y"
                    kind = _text(item, "GraphicType") or "POLYLINE"
                    yield Graphic(kind, pairs, filled=filled, relative=relative)
            for item in _items(annotation, "TextObjectSequence"):
                text = _text(item, "UnformattedTextValue")[:200]
                yield from _text_graphic(item, text)


def _text_graphic(item: ElementSet, text: str) -> Iterator[Graphic]:
    for place, units in (
        ("BoundingBoxTopLeftHandCorner", "BoundingBoxAnnotationUnits"),
        ("AnchorPoint", "AnchorPointAnnotationUnits"),
    ):
        if len(at := _floats(item, place)) == 2:
            yield Graphic("TEXT", ((at[0], at[1]),), text, relative=_text(item, units) == "DISPLAY")
            return


def _is_for(item: ElementSet, uid: str, frame: int) -> bool:
    """Tell whether an item is for an image: it names none, or this one."""
    references = item.elements.get(_REFERENCED)
    if references is None or not references.items:
        return True
    for reference in references.items:
        frames = _numbers(reference, "ReferencedFrameNumber")
        if _text(reference, "ReferencedSOPInstanceUID") == uid and (not frames or frame in frames):
            return True
    return False


def _items(elements: ElementSet, keyword: str) -> tuple[ElementSet, ...]:
    element = elements.elements.get(tag_of(keyword))
    return element.items if element is not None else ()


def _text(elements: ElementSet, tag: str | int) -> str:
    return "".join(_texts(elements, tag)[:1])


def _texts(elements: ElementSet, tag: str | int) -> tuple[str, ...]:
    found = elements.texts(tag if isinstance(tag, int) else tag_of(tag))
    return tuple(each.strip() for each in found)


def _floats(elements: ElementSet, keyword: str) -> tuple[float, ...]:
    found = []
    for text in elements.texts(tag_of(keyword)):
        try:
            found.append(float(text))
        except ValueError:
            return ()
    return tuple(found) if all(abs(each) < 1e7 for each in found) else ()


def _numbers(elements: ElementSet, keyword: str) -> tuple[int, ...]:
    return tuple(map(int, _floats(elements, keyword)))
