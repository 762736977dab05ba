"""Softcopy presentation states, applied to the images that they refer to (PS3.3 A.33, PS3.4 N).

How it works: a presentation state says anew what an image's own header says about grey levels, so
that it is merged into the header, and the renderer needs no other pipeline: its Modality LUT, the
Softcopy VOI LUT of the image and the Presentation LUT take the place of the image's, also where the
state has none (PS3.4 N.2). The SOP Class becomes that of the state: the Modality LUT of an X-Ray
angiographic image is not for display, but that of its state is. Overlay planes that the state
activates (C.11.7), its own or the image's, are all that the header keeps of them. What follows the
grey levels becomes options of the renderer: shutters, rotation, flip, displayed area, and graphics.
So do :mod:`.masks`, for which it takes more frames than are shown. An XA/XRF state (A.33.6) has its
shutters in items for images (C.11.20), and masks and edge enhancement for ranges of frames.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from pacs_core.api.images import aspect_of
from pacs_core.contracts import (
    Graphic,
    RenderingOptions,
    Shutter,
    SourceRegion,
    Viewport,
)
from pacs_core.dataset import DataElement, ElementSet, tag_of
from pacs_dicomweb.element_values import (
    floats_of,
    is_for,
    items_of,
    numbers_of,
    text_of,
    texts_of,
)
from pacs_dicomweb.masks import Masks

GREY_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.2"
X_RAY_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.5"
STATES: Final = frozenset({GREY_STATE, COLOUR_STATE, X_RAY_STATE})
"""Grayscale, Color, and XA/XRF Grayscale Softcopy Presentation State Storage."""

MOST_GRAPHICS: Final = 1000
MOST_POINTS: Final = 100_000

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
                text_of(series, "SeriesInstanceUID"),
                text_of(image, "ReferencedSOPInstanceUID"),
                numbers_of(image, "ReferencedFrameNumber"),
            )
            for series in items_of(self.elements, "ReferencedSeriesSequence")
            for image in items_of(series, "ReferencedImageSequence")
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
        for item in items_of(self.elements, "SoftcopyVOILUTSequence"):
            if is_for(item, uid, frame):
                elements |= self._own(item, _VOI)
                break
        return ElementSet(elements, header.character_sets)

    @staticmethod
    def _own(elements: ElementSet, tags: Sequence[int]) -> Mapping[int, DataElement]:
        return {tag: elements.elements[tag] for tag in tags if tag in elements.elements}

    def adapt(self, options: RenderingOptions, uid: str, frame: int) -> RenderingOptions:
        """Return options with the state's overlays, shutters, geometry, and graphics."""
        flip = text_of(self.elements, "ImageHorizontalFlip") == "Y"
        region = self.region(uid, frame)
        viewport = options.viewport
        if region is not None:
            given = viewport or Viewport(0, 0)
            viewport = evolve(given, region=given.region or region)
        graphics = tuple(self._graphics(uid, frame))[:MOST_GRAPHICS]
        covering = self._shutter_elements(uid, frame)
        return evolve(
            options,
            overlays=bool(self._overlays),
            shutters=tuple(self._shutters(covering)),
            shutter_grey=_shutter_grey(covering),
            rotation=self.rotation,
            flip=flip,
            viewport=viewport,
            graphics=graphics,
        )

    @property
    def rotation(self) -> int:
        """Degrees by which images are turned, clockwise (PS3.3 C.10.6)."""
        return (numbers_of(self.elements, "ImageRotation") or (0,))[0] % 360

    def pixel_aspect(self, uid: str, frame: int) -> float:
        """Return how high pixels of an image are by their width (PS3.3 C.10.4); 0 if unsaid."""
        return next(
            (
                aspect_of(item, "PresentationPixelSpacing", "PresentationPixelAspectRatio")
                for item in items_of(self.elements, "DisplayedAreaSelectionSequence")
                if is_for(item, uid, frame)
            ),
            0.0,
        )

    def masks(self, uid: str, frames: int) -> Masks:
        """Return what the state subtracts from the frames of an image.

        Parameters
        ----------
        uid : str
            SOP Instance UID of the image.
        frames : int
            How many it has.
        """
        displays = tuple(
            display
            for presented in items_of(self.elements, "MultiFramePresentationSequence")
            if is_for(presented, uid, 0)
            for display in items_of(presented, "FrameDisplaySequence")
        )
        return Masks(
            uid,
            frames,
            items_of(self.elements, "MaskSubtractionSequence"),
            displays,
            text_of(self.elements, "RecommendedViewingMode"),
            only=frozenset(
                n for each in self.images if each.sop_instance_uid == uid for n in each.frames
            ),
        )

    @property
    def _overlays(self) -> tuple[int, ...]:
        """Groups of the overlay planes that are shown: those in a graphic layer (C.11.7)."""
        layered = (group for group in _OVERLAYS if text_of(self.elements, group << 16 | _LAYER))
        return tuple(group for group in layered if group != self._bitmap)

    @property
    def _bitmap(self) -> int:
        """Group of the overlay plane that is a shutter (C.7.6.15); 0 if there is none."""
        if "BITMAP" not in texts_of(self.elements, "ShutterShape"):
            return 0
        return next(iter(numbers_of(self.elements, "ShutterOverlayGroup")), 0)

    def _shutter_elements(self, uid: str, frame: int) -> ElementSet:
        """Return what has the attributes of shutters: the state, or an item for an image."""
        items = items_of(self.elements, "FrameDisplayShutterSequence")
        return next((each for each in items if is_for(each, uid, frame)), self.elements)

    def _shutters(self, elements: ElementSet) -> Iterator[Shutter]:
        """Iterate over the shutters (C.7.6.11, C.7.6.15), each shape at most once."""
        shapes = texts_of(elements, "ShutterShape")
        edges = [number for name in _EDGES for number in numbers_of(elements, name)[:1]]
        if "RECTANGULAR" in shapes and len(edges) == len(_EDGES):
            left, right, upper, lower = edges
            yield Shutter("RECTANGULAR", ((left, upper), (right, lower)))
        centre = numbers_of(elements, "CenterOfCircularShutter")
        radius = numbers_of(elements, "RadiusOfCircularShutter")
        if "CIRCULAR" in shapes and len(centre) == 2 and radius:
            yield Shutter("CIRCULAR", (centre[::-1],), radius[0])
        vertices = numbers_of(elements, "VerticesOfThePolygonalShutter")[: 2 * MOST_POINTS]
        if "POLYGONAL" in shapes and len(vertices) >= 6:
            points = zip(vertices[1::2], vertices[::2], strict=False)  # rows come first
            yield Shutter("POLYGONAL", tuple(points))
        if self._bitmap:
            yield Shutter("BITMAP", group=self._bitmap)

    def region(self, uid: str, frame: int) -> SourceRegion | None:
        """Return the displayed area (PS3.3 C.10.4), in pixels from 0; it may exceed the image."""
        for item in items_of(self.elements, "DisplayedAreaSelectionSequence"):
            corners = [
                numbers_of(item, f"DisplayedArea{corner}HandCorner")
                for corner in ("TopLeft", "BottomRight")
            ]
            if is_for(item, uid, frame) and all(len(corner) == 2 for corner in corners):
                (left, top), (right, bottom) = corners
                x, y = min(left, right) - 1, min(top, bottom) - 1
                return SourceRegion(x, y, abs(right - left) + 1, abs(bottom - top) + 1)
        return None

    def _graphics(self, uid: str, frame: int) -> Iterator[Graphic]:
        """Iterate over graphics and text (PS3.3 C.10.5)."""
        points = 0
        for annotation in items_of(self.elements, "GraphicAnnotationSequence"):
            if not is_for(annotation, uid, frame):
                continue
            for item in items_of(annotation, "GraphicObjectSequence"):
                data = floats_of(item, "GraphicData")
                pairs = tuple(zip(data[::2], data[1::2], strict=False))
                points += len(pairs)
                if pairs and points <= MOST_POINTS:
                    relative = text_of(item, "GraphicAnnotationUnits") == "DISPLAY"
                    filled = text_of(item, "GraphicFilled") == "Y"
                    kind = text_of(item, "GraphicType") or "POLYLINE"
                    yield Graphic(kind, pairs, filled=filled, relative=relative)
            for item in items_of(annotation, "TextObjectSequence"):
                text = text_of(item, "UnformattedTextValue")[:200]
                yield from _text_graphic(item, text)


def _shutter_grey(elements: ElementSet) -> float:
    """Return what covers the rest: a P-Value, or the lightness of a colour (C.7.6.11)."""
    for name in ("ShutterPresentationColorCIELabValue", "ShutterPresentationValue"):
        if given := numbers_of(elements, name):
            return min(max(given[0], 0), 0xFFFF) / 0xFFFF
    return 0.0


def _text_graphic(item: ElementSet, text: str) -> Iterator[Graphic]:
    for place, units in (
        ("BoundingBoxTopLeftHandCorner", "BoundingBoxAnnotationUnits"),
        ("AnchorPoint", "AnchorPointAnnotationUnits"),
    ):
        if len(at := floats_of(item, place)) == 2:
            yield Graphic(
                "TEXT", ((at[0], at[1]),), text, relative=text_of(item, units) == "DISPLAY"
            )
            return
