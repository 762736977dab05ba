"""``pacs extract``."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import anyio
import numpy as np
from cyclopts import Parameter
from PIL import Image

from pacs_core.app import assemble, read_frame
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.config import load_config
from pacs_core.contracts import TranscodingError
from pacs_core.transcoding import StoredFrame
from pacs_image_export.errors import RenderError
from pacs_image_export.render import modality_values, rendered, stored_values
from pacs_image_export.samples import Array

Format = Literal["png", "jpeg", "tiff", "npy"]
_SUFFIXES: dict[str, Format] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
}


def extract(
    file: Path,
    /,
    *,
    frame: int = 1,
    format: Format | None = None,  # noqa: A002 the name of the option
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    window: str = "",
    rescale: Annotated[bool, Parameter(negative=())] = False,
    quality: int = 90,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    config: Path | None = None,
) -> int:
    """Write a frame of a DICOM image as a PNG, JPEG or TIFF file, as it is shown; or its values.

    Grey images are shown through the first window of the dataset, or its VOI LUT; without either,
    from their lowest to their highest value.

    Parameters
    ----------
    file
        A DICOM file.
    frame
        Number of the frame, from 1.
    format
        png, jpeg, tiff or npy (the stored values, for NumPy); else as the output's name says.
    output
        File to write; else in this folder, with the name of the file and the number of the frame.
    window
        CENTRE,WIDTH; auto (lowest to highest value); none (all of Bits Stored); or a window of
        the dataset by its number, from 1, or its name.
    rescale
        For npy: the values after the Modality LUT or rescaling, such as Hounsfield units.
    quality
        For jpeg: from 1 to 95.
    overwrite
        Replace a file that exists.
    config
        Config file; else $PACS_CONFIG, else pacs.toml if there is one.
    """
    kind = format or _SUFFIXES.get(output.suffix.lower() if output else ".png")
    if kind is None:
        raise UsageError(f"say with --format what to write to {output}: png, jpeg, tiff or npy")
    if not 1 <= quality <= 95:
        raise UsageError(f"--quality is from 1 to 95, not {quality}")
    if rescale and kind != "npy":
        raise UsageError("--rescale is for --format npy")
    target = output or Path(f"{file.stem}.{frame}.{kind}")
    if target.exists() and not overwrite:
        raise CommandError(f"{target} exists; replace it with --overwrite")
    try:
        read = anyio.run(partial(read_frame, assemble(load_config(config)), file, frame))
        content = _content(read, kind, window, rescale, quality)
    except (TranscodingError, RenderError) as error:
        raise CommandError(f"{file}: {error}") from error
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}") from error
    _write(target, content, overwrite)
    print(target)
    return 0


def _content(frame: StoredFrame, kind: Format, window: str, rescale: bool, quality: int) -> bytes:
    out = BytesIO()
    if kind == "npy":
        np.save(out, modality_values(frame) if rescale else stored_values(frame))
    else:
        options = {"quality": quality} if kind == "jpeg" else {}
        image(rendered(frame, window)).save(out, kind, **options)
    return out.getvalue()


def image(shown: Array) -> Image.Image:
    """Return what is shown as an image that Pillow can save."""
    return Image.fromarray(np.ascontiguousarray(shown))


def _write(target: Path, content: bytes, overwrite: bool) -> None:
    with target.open("wb" if overwrite else "xb") as out:
        try:
            out.write(content)
            out.flush()
        except OSError:
            target.unlink(missing_ok=True)
            raise
