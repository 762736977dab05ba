"""Frames of DICOM images as pictures: ``pacs extract``, and the renderer that doors ask."""

from collections.abc import Callable

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    Node,
    Renderer,
    Setup,
)
from pacs_core.plugins import hookimpl

__all__ = ["pacs_capabilities", "pacs_cli_commands"]


def _load() -> Callable[..., int | None]:
    from pacs_image_export.command import extract

    return extract


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command."""
    return [CliCommandDescriptor("extract", "Write a frame of an image as PNG, JPEG, ...", _load)]


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the renderer, which starts a process when the first picture is asked for."""

    def create(node: Node) -> Renderer:
        from pacs_image_export.renderer import ProcessRenderer

        return ProcessRenderer()

    return [CapabilityDescriptor("renderer", Renderer, create, always=True)]
