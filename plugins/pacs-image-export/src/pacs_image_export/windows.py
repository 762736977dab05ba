"""Windows: which values become black, which white, and how those between (PS3.3 C.11.2.1)."""

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from attrs import frozen

from pacs_image_export.attributes import FrameAttributes, number_of
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def why_refused(width: float, function: str) -> str:
    """Return why a window cannot have a width; nothing if it can (PS3.3 C.11.2.1.2, .3)."""
    if function == "LINEAR":
        return "" if width >= 1 else "a LINEAR window is at least 1 wide"
    return "" if width > 0 else f"a {function} window is wider than 0"


@frozen
class Window:
    """A window, and the function that it is for.

    Attributes
    ----------
    centre, width : float
        In units of the modality's output, such as Hounsfield units.
    function : str
        One of `FUNCTIONS`.

    Raises
    ------
    RenderError
        The function does not allow the width.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    def __attrs_post_init__(self) -> None:
        if reason := why_refused(self.width, self.function):
            raise RenderError(f"a window cannot be {self.width:g} wide: {reason}")

    def apply(self, values: Array) -> Array:
        """Return values from 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
        with np.errstate(all="ignore"):
            if self.function == "SIGMOID":
                return 1 / (1 + np.exp(-4 * (values - self.centre) / self.width))
            if self.function == "LINEAR_EXACT":
                return np.clip((values - self.centre) / self.width + 0.5, 0, 1)
            # The formula of LINEAR divides by the width less one: a width of 1 is a threshold.
            if self.width == 1:
                return (values > self.centre - 0.5).astype("f8")
            return np.clip((values - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


@frozen
class NamedWindow:
    """A window of a dataset, as far as it is one.

    Attributes
    ----------
    number : int
        From 1.
    name : str
        Its explanation; perhaps empty.
    window : Window or None
    reason : str
        Why it is none.
    """

    number: int
    name: str
    window: Window | None
    reason: str = ""

    def __str__(self) -> str:
        """Return how it is listed."""
        if self.window is None:
            return f"{self.number} ({self.reason})"
        shown = f"{self.window.centre:g},{self.window.width:g}"
        return f"{self.number} ({self.name or 'without a name'}: {shown})"


def windows_of(attributes: FrameAttributes) -> list[NamedWindow]:
    """Return the windows of a frame in their order, impossible ones with the reason."""
    centres, widths, names, functions = attributes.values_together(
        "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"
    )
    function = functions[0].upper() if functions else "LINEAR"
    if function not in FUNCTIONS:
        attributes.warn(f"VOI LUT Function {function[:32]!r} is unknown: LINEAR is used instead")
        function = "LINEAR"
    return list(_windows(centres, widths, names, function))


def _windows(
    centres: tuple[str, ...], widths: tuple[str, ...], names: tuple[str, ...], function: str
) -> Iterator[NamedWindow]:
    pairs = zip_longest(centres, widths, fillvalue="")
    for number, (centre_text, width_text) in enumerate(pairs, 1):
        name = names[number - 1] if number <= len(names) else ""
        centre, width = number_of(centre_text), number_of(width_text)
        if centre is None or width is None:
            what, text = ("width", width_text) if width is None else ("centre", centre_text)
            reason = f"its {what} is {text[:32]!r}" if text else f"it has no {what}"
            yield NamedWindow(number, name, None, reason)
        elif reason := why_refused(width, function):
            yield NamedWindow(number, name, None, f"its width is {width:g}, but {reason}")
        else:
            yield NamedWindow(number, name, Window(centre, width, function))


def window_between(low: float, high: float) -> Window:
    """Return the window from one value to another, which is higher."""
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")
