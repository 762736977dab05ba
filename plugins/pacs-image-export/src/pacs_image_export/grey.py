"""Grey images: modality, values of interest, presentation (PS3.4 N.2)."""

from collections.abc import Callable

import numpy as np

from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import FrameFormat
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array, Levels, array_of, levels_of
from pacs_image_export.tables import first_table
from pacs_image_export.windows import NamedWindow, Window, window_between, windows_of

Transformation = Callable[[Array], Array]

# X-Ray Angiographic, Radiofluoroscopic and Bi-Plane (retired) Image Storage
_XA = tuple(f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))


def modality_of(
    attributes: FrameAttributes, frame: FrameFormat, *, for_display: bool = False
) -> Transformation:
    """Return the Modality LUT or rescaling of a frame (PS3.3 C.11.1, C.7.6.16.2.9).

    Parameters
    ----------
    attributes : FrameAttributes
        Takes warnings of what is ignored.
    frame : FrameFormat
    for_display : bool
        Leave out the table of XA and XRF images: it leads back to X-Ray intensities, for
        subtraction, and is not for display (PS3.3 C.8.7.1.1.2).
    """
    is_xa = attributes.texts("SOPClassUID")[:1] in [(uid,) for uid in _XA]
    if not (for_display and is_xa):
        table = first_table(attributes, "ModalityLUTSequence", is_signed=frame.is_signed)
        if table is not None:
            return table.look_up
    slopes, intercepts = attributes.values_together("RescaleSlope", "RescaleIntercept")
    slope = attributes.number("RescaleSlope", slopes, 1.0)
    intercept = attributes.number("RescaleIntercept", intercepts, 0.0)
    if slope == 0:
        attributes.warn("RescaleSlope is 0: taken as 1")
        slope = 1.0
    if (slope, intercept) == (1.0, 0.0):
        return lambda values: values
    return lambda values: values * slope + intercept


def render_grey(frame: StoredFrame, attributes: FrameAttributes, window: str | Window) -> Array:
    """Return a grey frame in 8 bits, black as 0.

    Parameters
    ----------
    frame : StoredFrame
    attributes : FrameAttributes
        Takes warnings.
    window : str
        See :func:`pacs_image_export.render.render`.

    Raises
    ------
    RenderError
        There is no such window.
    """
    # The stages of PS3.4 Figure N.2-1: modality, values of interest, presentation. All act on
    # the levels of the frame, of which a 16-bit image has 65536 at most, however many pixels.
    levels = levels_of(array_of(frame.data, frame.format), frame.format)
    if window == "none":
        shown = window_between(levels.low, levels.high).apply(levels.values)
    else:
        modality = modality_of(attributes, frame.format, for_display=True)
        # A negative slope turns the range of stored values around.
        ends = sorted(float(end) for end in modality(np.array([levels.low, levels.high])))
        values = modality(levels.values)
        chosen = _choose(attributes, window, is_signed=ends[0] < 0)
        shown = (chosen or _window_over_values(levels, values, ends, attributes, frame))(values)
    if _is_inverted(attributes, frame.format):
        shown = 1 - shown
    return levels.of(np.rint(shown * 255).astype("u1"))


def render_derived(
    values: Array,
    frame: FrameFormat,
    attributes: FrameAttributes,
    window: str | Window,
    *,
    is_difference: bool,
) -> Array:
    """Return what was made of frames, such as their difference, in 8 bits (PS3.4 N.2).

    Parameters
    ----------
    values : array
        In units of the modality's output, with a sign.
    frame : FrameFormat
    attributes : FrameAttributes
        Takes warnings.
    window : str or Window
        Where neither it nor the image says one, that of all values.
    is_difference : bool
        Whether 0 then becomes the grey in the middle.

    Raises
    ------
    RenderError
        There is no such window.
    """
    chosen = _choose(attributes, window, is_signed=is_difference or float(values.min()) < 0)
    if chosen is None and not is_difference:
        low, high = float(values.min()), float(values.max())
        chosen = window_between(low, high if high > low else low + 1).apply
    elif chosen is None:
        largest = float(np.abs(values).max()) or 1.0
        chosen = window_between(-largest, largest).apply
    shown = chosen(values)
    if _is_inverted(attributes, frame):
        shown = 1 - shown
    picture: Array = np.rint(shown * 255).astype("u1")
    return picture


def _is_inverted(attributes: FrameAttributes, frame: FrameFormat) -> bool:
    """Return whether low values are white.

    Presentation LUT Shape says it, if it is there (PS3.3 C.11.6); images of MONOCHROME1 that have
    one have INVERSE (C.8.11.3.1.2), which is one inversion, not two.
    """
    shape = attributes.texts("PresentationLUTShape")[:1]
    if shape in (("IDENTITY",), ("INVERSE",)):
        return shape == ("INVERSE",)
    return frame.photometric_interpretation == "MONOCHROME1"


def _choose(
    attributes: FrameAttributes, wanted: str | Window, *, is_signed: bool
) -> Transformation | None:
    """Return the VOI LUT or window to use; None for one that spans the values."""
    if isinstance(wanted, Window):
        return wanted.apply
    if wanted == "auto":
        return None
    if "," in wanted:
        return _parse_window(wanted).apply
    windows = windows_of(attributes)
    if wanted:
        return _find_window(wanted, windows).apply
    # The first value mapped is meant as the modality's output is (PS3.3 C.11.2.1.1).
    table = first_table(attributes, "VOILUTSequence", is_signed=is_signed)
    if table is not None:
        return table.fractions
    for each in windows:
        if each.window is not None:
            return each.window.apply
        attributes.warn(f"window {each.number} is skipped: {each.reason}")
    return None


def _parse_window(text: str) -> Window:
    try:
        centre, width = map(float, text.split(","))
    except ValueError:
        raise RenderError(f"a window is CENTRE,WIDTH, as in 40,400, not {text!r}") from None
    if not np.isfinite([centre, width]).all():
        raise RenderError(f"a window is CENTRE,WIDTH, as in 40,400, not {text!r}")
    return Window(centre, width)


def _find_window(wanted: str, windows: list[NamedWindow]) -> Window:
    for each in windows:
        if wanted in (str(each.number), each.name):
            if each.window is None:
                raise RenderError(f"window {wanted!r} cannot be used: {each.reason}")
            return each.window
    listed = ", ".join(map(str, windows))
    raise RenderError(f"there is no window {wanted!r}; the image has {listed or 'none'}")


def _window_over_values(
    levels: Levels,
    values: Array,
    ends: list[float],
    attributes: FrameAttributes,
    frame: StoredFrame,
) -> Transformation:
    """Return a window over what the frame has, padding left out; over all if that is one value."""
    occurring = values[levels.occur() & ~_padding(levels, attributes, frame.format)]
    low, high = (occurring.min(), occurring.max()) if occurring.size else (0, 0)
    if low == high:
        # Nothing to tell apart: 0 is black, and the highest value there can be is white.
        low, high = ends if ends[0] < ends[1] else (ends[0], ends[0] + 1)
    return window_between(float(low), float(high)).apply


def _padding(levels: Levels, attributes: FrameAttributes, frame: FrameFormat) -> Array:
    """Return which values are padding (PS3.3 C.7.5.1.1.2)."""
    ends = [
        _as_stored(text, frame)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        for text in attributes.texts(keyword)[:1]
    ]
    known = [end for end in ends if end is not None]
    if not known or not attributes.texts("PixelPaddingValue"):
        return np.zeros(len(levels.values), bool)
    return (levels.values >= min(known)) & (levels.values <= max(known))


def _as_stored(text: str, frame: FrameFormat) -> int | None:
    """Return a US or SS value as the sample that has its bits, whatever its VR."""
    if not text.lstrip("-").isdigit() or len(text) > 12:
        return None
    bits = int(text) & ((1 << frame.bits_stored) - 1)
    is_negative = frame.is_signed and bits >> (frame.bits_stored - 1)
    return bits - (1 << frame.bits_stored) if is_negative else bits
