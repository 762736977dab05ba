"""Frames of DICOM images as pictures: ``pacs extract``, and the renderer that doors ask."""

from pacs_core.contracts import (
    CapabilityDescriptor,
    Node,
    Renderer,
    Setup,
)
from pacs_core.plugins import hookimpl

__all__ = ["pacs_capabilities"]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the renderer, which starts a process when the first picture is asked for."""

    def create(node: Node) -> Renderer:
        from pacs_image_export.renderer import ProcessRenderer

        return ProcessRenderer()

    return [CapabilityDescriptor("renderer", Renderer, create, always=True)]
