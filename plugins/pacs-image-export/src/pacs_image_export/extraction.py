"""A frame of a file as a picture, or its values."""

from functools import partial
from io import BytesIO
from pathlib import Path

import anyio
import numpy as np
from PIL import Image

from pacs_core.api.commands import CommandError, assemble, load_config, read_frame
from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import TranscodingError
from pacs_image_export.errors import RenderError
from pacs_image_export.render import (
    RenderedPicture,
    RenderOptions,
    modality_values,
    render,
    stored_values,
)
from pacs_image_export.wanted import Wanted


def extract_frame(file: Path, wanted: Wanted, config: Path | None) -> tuple[bytes, tuple[str, ...]]:
    """Return the picture as its file has it, and warnings.

    Raises
    ------
    CommandError
        There is no such frame, or it cannot be shown.
    """
    try:
        read = anyio.run(partial(read_frame, assemble(load_config(config)), file, wanted.frame))
        return make_picture(read, wanted)
    except (TranscodingError, RenderError) as error:
        raise CommandError(f"{file}: {error}") from error
    except MemoryError as error:
        raise CommandError(f"{file}: the frame is too large for the memory there is") from error
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}") from error


def make_picture(read: StoredFrame, wanted: Wanted) -> tuple[bytes, tuple[str, ...]]:
    """Return the picture of a frame as its file has it, and warnings.

    Raises
    ------
    RenderError
        It cannot be shown.
    """
    if wanted.format != "npy":
        made = render(read, RenderOptions(wanted.window, wanted.overlays))
    else:
        made = modality_values(read) if wanted.rescale else RenderedPicture(stored_values(read))
    return _encode(made, wanted), tuple(made.warnings)


def _encode(picture: RenderedPicture, wanted: Wanted) -> bytes:
    out = BytesIO()
    if wanted.format == "npy":
        np.save(out, picture.pixels)
    else:
        options = {"quality": wanted.quality} if wanted.format == "jpeg" else {}
        image = Image.fromarray(np.ascontiguousarray(picture.pixels))
        image.save(out, wanted.format, **options)
    return out.getvalue()
