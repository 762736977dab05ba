"""The contract of renderers: frames as the pictures that people look at (PS3.18 §8.3.5, §8.7.4).

A capability: a plugin offers it with `pacs_capabilities`, and a door that shows images asks
``node.capabilities.provides(Renderer)``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.frames import Frame

PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
GIF: Final = "image/gif"


class RenderingError(ValueError):
    """A frame cannot be shown, or not in this way; the message says why."""


@frozen
class SourceRegion:
    """Part of an image, in its pixels; negative sizes flip it (PS3.18 §8.3.5.1.3)."""

    x: float
    y: float
    width: float
    height: float


@frozen
class Viewport:
    """Where a picture is to fit in, keeping its proportions.

    Attributes
    ----------
    width, height : int
        In pixels; 0 and 0 leave the size as it is.
    region : SourceRegion or None
        Of the image; None for all of it.
    """

    width: int
    height: int
    region: SourceRegion | None = None


@frozen
class Graphic:
    """Something to be drawn on a picture (PS3.3 C.10.5).

    Attributes
    ----------
    kind : str
        ``POINT``, ``POLYLINE``, ``INTERPOLATED``, ``CIRCLE`` (centre and a point on it),
        ``ELLIPSE`` (the ends of both axes), or ``TEXT``.
    points : tuple of (float, float)
        Column and row, from 1 in the middle of the first pixel; or from 0 to 1 of what is shown.
    text : str
    filled : bool
    relative : bool
        Whether points are of what is shown, not of the image.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    text: str = ""
    filled: bool = False
    relative: bool = False


@frozen
class Shutter:
    """What of an image is not covered (PS3.3 C.7.6.11, C.7.6.15).

    Attributes
    ----------
    kind : str
        ``RECTANGULAR``, ``CIRCULAR``, ``POLYGONAL``, or ``BITMAP``.
    points : tuple of (float, float)
        Columns and rows, from 1: the first and the last pixel of the rectangle, the centre of the
        circle, the vertices.
    radius : float
        Of the circle, in pixels.
    group : int
        Of the overlay plane in the header whose points are covered, for ``BITMAP``.
    """

    kind: str
    points: tuple[tuple[float, float], ...] = ()
    radius: float = 0.0
    group: int = 0


@frozen
class RegionShift:
    """A part of a mask that is moved by itself (PS3.3 C.11.19).

    Attributes
    ----------
    points : tuple of (float, float)
        Vertices: columns and rows, from 1.
    shift : (float, float)
        Pixels: down, and to the right.
    """

    points: tuple[tuple[float, float], ...]
    shift: tuple[float, float]


@frozen
class Subtraction:
    """A picture made of several frames: the mean of some, less that of others (PS3.3 C.7.6.10).

    Attributes
    ----------
    contrast : tuple of int
        Numbers of the frames whose mean is shown.
    mask : tuple of int
        Numbers of the frames whose mean is subtracted; none for no subtraction.
    shift : (float, float)
        Pixels that the mask is moved by before: down, and to the right.
    weight : float
        How much of the mask is subtracted, from 0 to 1.
    regions : tuple of RegionShift
        Parts of the mask that are moved otherwise; of several, the last that has a pixel counts.
    enhancement : float
        How much edges are enhanced, in percent of the most that the renderer does (C.8.19.7).
    """

    contrast: tuple[int, ...]
    mask: tuple[int, ...] = ()
    shift: tuple[float, float] = (0.0, 0.0)
    weight: float = 1.0
    regions: tuple[RegionShift, ...] = ()
    enhancement: float = 0.0

    @property
    def is_derived(self) -> bool:
        """Whether it is more than a frame as it is."""
        return bool(self.mask or self.enhancement or len(self.contrast) > 1)

    @property
    def frames(self) -> frozenset[int]:
        """The numbers of all frames that it takes."""
        return frozenset((*self.contrast, *self.mask))


@frozen
class RenderingOptions:
    """How frames are shown.

    Attributes
    ----------
    media_type : str
        ``image/png``, ``image/jpeg``, or ``image/gif``, which may have several frames.
    window : tuple of (float, float, str) or None
        Centre, width, and the function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``. None for the
        image's own.
    viewport : Viewport or None
        None for the size of the image.
    quality : int
        Of JPEG, 1 to 100.
    overlays : bool
        Whether overlays are burnt in.
    annotations : tuple of str
        Lines of text that are burnt in.
    interval : float
        Seconds for each frame of several.
    rotation : int
        Degrees, clockwise: 0, 90, 180 or 270.
    flip : bool
        Whether left and right change places, after the rotation.
    graphics : tuple of Graphic
    shutters : tuple of Shutter
        Of several, what is within all of them is not covered.
    shutter_grey : float
        Of what is covered: 0 for black, 1 for white.
    subtractions : tuple of Subtraction
        One for each picture, between what the Modality LUT makes of its frames; without a window
        or a VOI LUT, 0 is the grey in the middle. None: each frame is a picture.
    pixel_aspect : float
        Height of a pixel of the image by its width (PS3.3 C.7.6.3.1.7), before it is rotated.
        Those of the picture are squares: it has more rows or columns than the image where this is
        not 1, or fewer, if more would be too many.
    icc_profile : str
        Of a picture in colour that is PNG or JPEG (PS3.18 §8.3.5.1.5): ``no`` for none, ``yes`` for
        that of the image, or sRGB if it has none, ``srgb`` for colours that are converted to sRGB,
        and its profile.
    """

    media_type: str = PNG
    window: tuple[float, float, str] | None = None
    viewport: Viewport | None = None
    quality: int = 90
    overlays: bool = False
    annotations: tuple[str, ...] = ()
    interval: float = field(default=0.1)
    rotation: int = 0
    flip: bool = False
    graphics: tuple[Graphic, ...] = ()
    shutters: tuple[Shutter, ...] = ()
    shutter_grey: float = 0.0
    subtractions: tuple[Subtraction, ...] = ()
    pixel_aspect: float = 1.0
    icc_profile: str = "no"


class Renderer(Component, ABC):
    """Makes pictures, away from the node's own process: what is hostile costs one picture only."""

    @abstractmethod
    async def render(
        self, header: bytes, frames: Sequence[Frame], options: RenderingOptions
    ) -> bytes:
        """Return the picture of a frame, or a moving one of several.

        Cancelling it ends the work at once.

        Parameters
        ----------
        header : bytes
            What precedes Pixel Data, in Explicit VR Little Endian, with all values that say how an
            image is shown.
        frames : sequence of Frame
            Native, as :meth:`Transcoder.frames` gives them; all that subtractions take.
        options : RenderingOptions

        Raises
        ------
        RenderingError
            They cannot be shown so.
        """
