"""From stored values to what is shown (PS3.4 N.2): modality, values of interest, 8 bits."""

from collections.abc import Callable

import numpy as np

from pacs_core.dataset import items, tag_of
from pacs_core.transcoding import StoredFrame
from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.colours import painted, rgb_of
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array, array_of
from pacs_image_export.tables import Table, dataset_of, palette_of, table_of
from pacs_image_export.windows import Window, spanning, windows_of

Voi = Callable[[Array], Array]


def stored_values(frame: StoredFrame) -> Array:
    """Return the stored values of a frame.

    Raises
    ------
    RenderError
        There are no such arrays.
    """
    return array_of(frame.data, frame.format)


def modality_values(frame: StoredFrame) -> Array:
    """Return the values after the Modality LUT or rescaling (PS3.3 C.11.1).

    Raises
    ------
    RenderError
        The table or the numbers make no sense.
    """
    samples = stored_values(frame)
    if table := _table(frame, "ModalityLUTSequence"):
        return table.look_up(samples)
    attributes = FrameAttributes(frame.attributes, frame.number)
    slope = attributes.numbers("RescaleSlope")[:1] or (1.0,)
    intercept = attributes.numbers("RescaleIntercept")[:1] or (0.0,)
    if (slope, intercept) == ((1.0,), (0.0,)):
        return samples
    return samples * slope[0] + intercept[0]


def rendered(frame: StoredFrame, window: str = "") -> Array:
    """Return a frame as it is shown, in 8 bits: grey, or red, green and blue.

    Parameters
    ----------
    frame : StoredFrame
    window : str
        For grey images: "CENTRE,WIDTH"; "auto" from the lowest to the highest value; "none" for
        the whole range of Bits Stored; the number of a window of the dataset, from 1, or what it
        is called; empty for the first one, or the VOI LUT, or else auto.

    Raises
    ------
    RenderError
        It cannot be shown, or has no such window.
    """
    name = frame.format.photometric_interpretation
    if name == "PALETTE COLOR":
        return painted(stored_values(frame), palette_of(dataset_of(frame.header)))
    if frame.format.samples_per_pixel == 3:
        return rgb_of(stored_values(frame), frame.format)
    if window == "none":
        shown = _whole_range(frame)(stored_values(frame))
    else:
        values = modality_values(frame)
        shown = _voi(frame, window, values)(values)
    if name == "MONOCHROME1":
        shown = 1 - shown
    grey: Array = np.rint(shown * 255).astype("u1")
    return grey


def _voi(frame: StoredFrame, wanted: str, values: Array) -> Voi:
    attributes = FrameAttributes(frame.attributes, frame.number)
    if not wanted:
        windows = windows_of(attributes)
        return _table_of_interest(frame) or (windows[0][0] if windows else spanning(values)).apply
    if wanted == "auto":
        return spanning(values).apply
    if "," in wanted:
        return _typed(wanted).apply
    return _named(wanted, windows_of(attributes)).apply


def _typed(text: str) -> Window:
    try:
        centre, width = map(float, text.split(","))
    except ValueError:
        raise RenderError(f"a window is CENTRE,WIDTH, as in 40,400, not {text!r}") from None
    return Window(centre, width)


def _named(wanted: str, windows: list[tuple[Window, str]]) -> Window:
    for number, (window, name) in enumerate(windows, 1):
        if wanted in (str(number), name):
            return window
    listed = ", ".join(
        f"{number} ({name or 'without a name'}: {window.centre:g},{window.width:g})"
        for number, (window, name) in enumerate(windows, 1)
    )
    raise RenderError(f"there is no window {wanted!r}; the image has {listed or 'none'}")


def _table_of_interest(frame: StoredFrame) -> Voi | None:
    table = _table(frame, "VOILUTSequence")
    if table is None:
        return None
    highest = (1 << table.bits) - 1
    return lambda values: np.minimum(table.look_up(values) / highest, 1)


def _table(frame: StoredFrame, sequence: str) -> Table | None:
    if not items(frame.attributes, tag_of(sequence)):
        return None
    return table_of(dataset_of(frame.header), sequence, frame.format)


def _whole_range(frame: StoredFrame) -> Voi:
    bits = frame.format.bits_stored
    low = -(1 << (bits - 1)) if frame.format.is_signed else 0
    return lambda values: (values.astype("f8") - low) / ((1 << bits) - 1)
