"""Windows: which values become black, which white, and how those between (PS3.3 C.11.2.1)."""

import numpy as np
from attrs import frozen

from pacs_image_export.attributes import FrameAttributes
from pacs_image_export.errors import RenderError
from pacs_image_export.samples import Array


@frozen
class Window:
    """A window, and the function that it is for.

    Attributes
    ----------
    centre, width : float
    function : str
        LINEAR, LINEAR_EXACT or SIGMOID.

    Raises
    ------
    RenderError
        The function does not allow the width.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    def __attrs_post_init__(self) -> None:
        narrowest = 1 if self.function == "LINEAR" else 0
        if not np.isfinite([self.centre, self.width]).all() or not (
            self.width >= narrowest and self.width > 0
        ):
            raise RenderError(f"a {self.function} window cannot be {self.width:g} wide")
        if self.function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            raise RenderError(f"VOI LUT Function {self.function[:32]!r} is unknown")

    def apply(self, values: Array) -> Array:
        """Return values from 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1 / (1 + np.exp(-4 * (values - self.centre) / self.width))
        if self.function == "LINEAR_EXACT":
            return np.clip((values - self.centre) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (values > self.centre - 0.5).astype("f8")
        return np.clip((values - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def windows_of(attributes: FrameAttributes) -> list[tuple[Window, str]]:
    """Return the windows of a frame and what each is called, in their order.

    Raises
    ------
    RenderError
        Centre or width is no number, or a width is impossible.
    """
    function = next(iter(attributes.texts("VOILUTFunction")), "LINEAR")
    names = attributes.texts("WindowCenterWidthExplanation")
    pairs = zip(attributes.numbers("WindowCenter"), attributes.numbers("WindowWidth"), strict=False)
    return [
        (Window(centre, width, function), names[number] if number < len(names) else "")
        for number, (centre, width) in enumerate(pairs)
    ]


def spanning(values: Array) -> Window:
    """Return the window from the lowest to the highest value."""
    low, high = float(values.min()), float(values.max())
    return Window((low + high) / 2, max(high - low, 1e-9), "LINEAR_EXACT")
