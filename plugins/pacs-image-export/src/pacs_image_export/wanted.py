"""Request for a picture of a frame."""

from typing import Literal

from attrs import frozen

Format = Literal["png", "jpeg", "tiff", "npy"]


@frozen
class Wanted:
    """A frame, and how it is to be written.

    Attributes
    ----------
    format : str
    frame : int
        From 1.
    window : str
        See :class:`pacs_image_export.render.RenderOptions`.
    overlays : bool
        Burn overlays in.
    rescale : bool
        For "npy": the values after the Modality LUT or rescaling.
    quality : int
        For "jpeg".
    """

    format: Format
    frame: int
    window: str
    overlays: bool
    rescale: bool
    quality: int
