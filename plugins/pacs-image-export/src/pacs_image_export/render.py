"""The renderer: a frame, what its dataset says of it, and options, to a picture.

Nothing is read or written here, so that any door may use it. What a grey value becomes is computed
once for each value, not for each pixel.
"""

from attrs import frozen

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import Shutter
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.colours import apply_palette, rgb_of
from pacs_image_export.grey import modality_of, render_derived, render_grey
from pacs_image_export.overlays import burn_overlays
from pacs_image_export.samples import Array, array_of, levels_of
from pacs_image_export.shutters import cover
from pacs_image_export.subtraction import Derived
from pacs_image_export.tables import palette_of
from pacs_image_export.windows import Window


@frozen
class RenderOptions:
    """How to show a frame.

    Attributes
    ----------
    window : str or Window
        For grey images: "CENTRE,WIDTH"; "auto" from the lowest to the highest value, padding left
        out; "none" for the whole range of Bits Stored; the number of a window of the dataset, from
        1, or what it is called. Empty for the VOI LUT, or else the first window that is one, or
        else auto.
    overlays : bool
        Whether overlays are burnt in, in white.
    shutters : tuple of Shutter
        What covers the image, below overlays.
    shutter_grey : float
        0 for black, 1 for white.
    """

    window: str | Window = ""
    overlays: bool = False
    shutters: tuple[Shutter, ...] = ()
    shutter_grey: float = 0.0


@frozen(eq=False)
class RenderedPicture:
    """A frame as it is shown.

    Attributes
    ----------
    pixels : array
        In 8 bits: rows and columns of grey, or a third axis for red, green and blue.
    warnings : tuple of str
        What in the dataset was impossible, and what was done instead.
    """

    pixels: Array
    warnings: tuple[str, ...] = ()


def render(
    frame: StoredFrame, options: RenderOptions | None = None, derived: Derived | None = None
) -> RenderedPicture:
    """Return a frame as it is shown.

    Parameters
    ----------
    frame : StoredFrame
    options : RenderOptions, optional
    derived : Derived, optional
        Shown instead of the frame's own values: what subtraction or enhancement has made of it.

    Raises
    ------
    RenderError
        It cannot be shown, or has no such window.
    """
    options = options or RenderOptions()
    attributes = FrameAttributes(frame)
    if derived is None:
        pixels = _pixels(frame, attributes, options.window)
    else:
        pixels = render_derived(
            derived.values,
            frame.format,
            attributes,
            options.window,
            is_difference=derived.is_difference,
        )
    if options.shutters:
        pixels = cover(pixels, options.shutters, options.shutter_grey, frame, attributes)
    if options.overlays:
        bitmaps = {each.group for each in options.shutters if each.kind == "BITMAP"}
        pixels = burn_overlays(pixels, frame, attributes, bitmaps)
    return RenderedPicture(pixels, tuple(attributes.warnings))


def _pixels(frame: StoredFrame, attributes: FrameAttributes, window: str | Window) -> Array:
    is_palette = frame.format.photometric_interpretation == "PALETTE COLOR"
    if not is_palette and frame.format.samples_per_pixel == 1:
        return render_grey(frame, attributes, window)
    if window:
        attributes.warn("windows are for grey images: this one is in colour")
    samples = array_of(frame.data, frame.format)
    if is_palette:
        return apply_palette(samples, palette_of(attributes, is_signed=frame.format.is_signed))
    return rgb_of(samples, frame.format)


def stored_values(frame: StoredFrame) -> Array:
    """Return the stored values of a frame.

    Raises
    ------
    RenderError
        There are no such arrays.
    """
    return array_of(frame.data, frame.format)


def modality_values(frame: StoredFrame) -> RenderedPicture:
    """Return the values after the Modality LUT or rescaling (PS3.3 C.11.1), and warnings.

    Raises
    ------
    RenderError
        There are no such arrays.
    """
    samples = stored_values(frame)
    if frame.format.samples_per_pixel != 1:
        return RenderedPicture(samples)
    attributes = FrameAttributes(frame)
    levels = levels_of(samples, frame.format)
    values = levels.of(modality_of(attributes, frame.format)(levels.values))
    return RenderedPicture(values, tuple(attributes.warnings))
