"""``pacs extract``."""

from functools import partial
from pathlib import Path
from typing import Annotated

from pacs_core.api.file_commands import (
    CommandError,
    JobsOption,
    Option,
    UsageError,
    complain,
    complain_of_nothing,
    has_dicom,
    say,
)
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, tag_of
from pacs_image_export.wanted import Format, Wanted

_ROWS = tag_of("Rows")
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
    output: Annotated[Path | None, Option("--output", "-o")] = None,
    window: str = "",
    overlays: Annotated[bool, Option()] = False,
    rescale: Annotated[bool, Option()] = False,
    quality: int = 90,
    overwrite: Annotated[bool, Option()] = False,
    config: Path | None = None,
    jobs: JobsOption = 0,
) -> int:
    """Write a frame of a DICOM image as a PNG, JPEG or TIFF file, as it is shown; or its values.

    Grey images are shown through the VOI LUT of the dataset, or its first window; without either,
    from their lowest to their highest value. What the standard forbids, such as a window without a
    width, is skipped with a warning.

    Parameters
    ----------
    file
        A DICOM file; or a folder, of which all images below it are taken.
    frame
        Number of the frame, from 1.
    format
        png, jpeg, tiff or npy (the stored values, for NumPy); else as the output's name says.
    output
        File to write; else in this folder, with the name of the file and the number of the frame.
        For a folder the folder to write to.
    window
        CENTRE,WIDTH; auto (lowest to highest value); none (all of Bits Stored); or a window of
        the dataset by its number, from 1, or its name.
    overlays
        Burn overlays in, in white.
    rescale
        For npy: the values after the Modality LUT or rescaling, such as Hounsfield units.
    quality
        For jpeg: from 1 to 95.
    overwrite
        Replace a file that exists.
    config
        Config file; else $PACS_CONFIG, else pacs.toml if there is one.
    """
    named = output is not None and not file.is_dir()
    kind = format or _SUFFIXES.get(output.suffix.lower() if output and named else ".png")
    if kind is None:
        raise UsageError(f"say with --format what to write to {output}: png, jpeg, tiff or npy")
    if not 1 <= quality <= 95:
        raise UsageError(f"--quality is from 1 to 95, not {quality}")
    if kind == "npy" and (overlays or window):
        raise UsageError("--overlays and --window are for pictures, not for --format npy")
    if rescale and kind != "npy":
        raise UsageError("--rescale is for --format npy")
    wanted = Wanted(kind, frame, window, overlays, rescale, quality)
    if file.is_dir():
        if output is None:
            raise UsageError("name the folder to write to with --output")
        return _extract_folder(file, output, wanted, config, overwrite, jobs)
    target = output or Path(f"{file.stem}.{frame}.{kind}")
    if not overwrite:
        refuse_to_replace(target)
    _check_image(file)
    # It brings NumPy and the codecs, for which nobody need wait who has no image.
    from pacs_image_export.extraction import extract_frame

    content, warnings = extract_frame(file, wanted, config)
    for warning in warnings:
        complain(f"{file}: {warning}")
    _write(target, content, overwrite)
    print(target)
    return 0


def refuse_to_replace(target: Path) -> None:
    """Raise CommandError if a file exists."""
    if target.exists():
        raise CommandError(f"{target} exists; replace it with --overwrite")


def _check_image(file: Path) -> None:
    """Refuse what is no image, as far as its header tells."""
    try:
        found = scan_file(file, {_ROWS}).attributes
    except NotPart10 as error:
        raise CommandError(f"{file}: not a DICOM file: {error}") from error
    except MalformedDataset:
        return  # there may be a frame that can be shown, and else it is said why not
    if _ROWS not in found:
        raise CommandError(f"{file}: it has no Pixel Data that can be shown, for it has no Rows")


def _extract_folder(
    folder: Path, output: Path, wanted: Wanted, config: Path | None, overwrite: bool, jobs: int
) -> int:
    if not has_dicom([folder], without=output):
        say("0 files written")
        return complain_of_nothing("no image was found")
    import anyio

    from pacs_image_export.folders import extract_folder

    return anyio.run(
        partial(extract_folder, folder, output, wanted, config, overwrite=overwrite, jobs=jobs)
    )


def _write(target: Path, content: bytes, overwrite: bool) -> None:
    with target.open("wb" if overwrite else "xb") as out:
        # The file was made just now, or is one that may be replaced; half a picture would pass
        # for a whole one with programs that do not look closely.
        try:
            out.write(content)
            out.flush()
        except OSError:
            target.unlink(missing_ok=True)
            raise
