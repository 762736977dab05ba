"""``pacs extract``: frames of DICOM images as PNG, JPEG, TIFF and NumPy files."""

from collections.abc import Callable

from pacs_core.contracts import CliCommandDescriptor
from pacs_core.plugins import hookimpl

__all__ = ["pacs_cli_commands"]


def _load() -> Callable[..., int | None]:
    from pacs_image_export.command import extract

    return extract


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command."""
    return [CliCommandDescriptor("extract", "Write a frame of an image as PNG, JPEG, ...", _load)]
