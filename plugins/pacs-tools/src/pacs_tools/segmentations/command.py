"""``pacs seg``: segmentations to NIfTI, and masks to segmentations."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pacs_core.api.file_commands import (
    CommandError,
    CommandGroup,
    JobsOption,
    Option,
    UsageError,
    say,
)
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, tag_of, texts
from pacs_tools.instances import Flag, new_uid
from pacs_tools.output import check_output, write_file
from pacs_tools.segmentations.segments import (
    Segment,
    describe,
    dump_segments,
    load_segments,
    segment_of,
    undescribed,
)
from pacs_tools.segmentations.volumes import (
    check_mask,
    place,
    read_mask,
    read_series,
    require,
    to_nifti,
)

if TYPE_CHECKING:
    import numpy as np
    from highdicom import Volume
    from highdicom.seg import Segmentation

commands: Final = CommandGroup(
    "Convert segmentations to NIfTI, and masks to segmentations.",
    {
        "to-nifti": "pacs_tools.segmentations.command:to_nifti_files",
        "from-masks": "pacs_tools.segmentations.command:from_masks",
    },
)

_SOP_CLASS: Final = tag_of("SOPClassUID")
_SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""Segmentation and Label Map Segmentation Storage (PS3.4 B.5)."""

_LABELS: Final = "labels.nii.gz"
_MOST_LABELS: Final = 65535


def to_nifti_files(
    source: Path,
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    separate: Flag = False,
    overwrite: Flag = False,
) -> None:
    """Write a segmentation as NIfTI, with what its segments are as JSON.

    Where no segments overlap there is a single file, ``labels.nii.gz``, whose voxels are segment
    numbers; else, and of fractional segmentations, a file for each segment. ``segments.json`` says
    what they are. Frames that were left out because they were empty are filled in.

    Parameters
    ----------
    source
        A DICOM Segmentation: binary, fractional or a label map.
    output
        Folder to write to.
    separate
        Write a file for each segment in any case.
    overwrite
        Replace files that are there.
    """
    _check_class(source)
    require()
    segmentation = _read(source)
    try:
        volumes = _volumes(segmentation, separate)
        segments = [
            segment_of(segmentation.get_segment_description(number))
            for number in segmentation.segment_numbers
        ]
    except Exception as error:
        raise CommandError(f"{source}: it makes no volume: {error}") from error
    for name in (*volumes, "segments.json"):
        check_output(output / name, overwrite)
    for name, volume in volumes.items():
        write_file(output / name, [to_nifti(volume)])
        say(f"{output / name} written")
    write_file(output / "segments.json", [dump_segments(segments)])


def _check_class(source: Path) -> None:
    """Refuse what is no segmentation, before what reads one is imported."""
    try:
        found = texts(scan_file(source, {_SOP_CLASS}).attributes, _SOP_CLASS)
    except NotPart10 as error:
        raise CommandError(f"{source}: not a DICOM file") from error
    except MalformedDataset as error:
        raise CommandError(f"{source}: it is no segmentation that can be read: {error}") from error
    if not _SEGMENTATIONS.intersection(found):
        raise CommandError(f"{source}: it is no segmentation that can be read")


def _read(source: Path) -> "Segmentation":
    from highdicom.seg import segread
    from pydicom.errors import InvalidDicomError

    try:
        return segread(source)
    except InvalidDicomError as error:
        raise CommandError(f"{source}: not a DICOM file") from error
    except OSError:
        raise
    except Exception as error:
        raise CommandError(f"{source}: it is no segmentation that can be read: {error}") from error


def _volumes(segmentation: "Segmentation", separate: bool) -> "dict[str, Volume]":
    """Return volumes by the names of their files."""
    kind = segmentation.segmentation_type.value
    if kind != "FRACTIONAL" and not separate:
        try:
            return {_LABELS: segmentation.get_volume(combine_segments=True)}
        except RuntimeError as error:
            if "overlap" not in str(error):
                raise
    volume = segmentation.get_volume(combine_segments=False)
    return {
        f"segment-{number}.nii.gz": volume.with_array(volume.array[..., index], channels={})
        for index, number in enumerate(segmentation.segment_numbers)
    }


def from_masks(
    masks: Annotated[list[Path], Option()],
    /,
    *,
    like: Annotated[list[Path], Option()],
    output: Annotated[Path, Option("--output", "-o")],
    segments: Path | None = None,
    kind: Literal["binary", "fractional", "labelmap"] = "binary",
    overwrite: Flag = False,
    jobs: JobsOption = 0,
) -> None:
    """Make a segmentation of NIfTI masks, which must be on the grid of the images.

    Nothing is resampled; the order and direction of axes do not matter.

    Parameters
    ----------
    masks
        One file whose voxels are segment numbers; or a file for each segment, in their order,
        whose voxels are 0 or 1, or from 0 to 1 if fractional.
    like
        The images that were segmented: files, or folders; one series.
    output
        DICOM file to write.
    segments
        JSON that says what the segments are, as ``to-nifti`` writes it.
    kind
        Segmentation Type.
    overwrite
        Replace the output if there is one.
    """
    check_output(output, overwrite)
    for path in masks:
        check_mask(path)
    require()
    images = read_series(like, jobs)
    volumes = [place(path, read_mask(path), images) for path in masks]
    volume = _combine(volumes, kind)
    described = _describe(volume, segments, kind, len(volumes))
    write_file(output, [_encode(images, volume, described, kind)])
    say(f"{output} written")


def _combine(volumes: "list[Volume]", kind: str) -> "Volume":
    """Return one volume: of segment numbers, or with the segments as its last dimension."""
    import numpy as np

    if len(volumes) == 1 and kind != "fractional":
        array = _whole(volumes[0].array, _MOST_LABELS)
        return volumes[0].with_array(array.astype(np.uint16 if array.max() > 255 else np.uint8))
    if kind == "labelmap":
        raise UsageError("--kind labelmap takes one file, whose voxels are segment numbers")
    arrays = [volume.array for volume in volumes]
    if kind == "fractional":
        if any(not ((array >= 0) & (array <= 1)).all() for array in arrays):
            raise CommandError("fractional masks have values from 0 to 1 only")
        arrays = [array.astype(np.float32) for array in arrays]
    else:
        arrays = [_whole(array, 1).astype(np.uint8) for array in arrays]
    numbers = list(range(1, len(arrays) + 1))
    return volumes[0].with_array(np.stack(arrays, axis=-1), channels={"SegmentNumber": numbers})


def _whole(array: "np.ndarray[Any, Any]", most: int) -> "np.ndarray[Any, Any]":
    import numpy as np

    if not np.isfinite(array).all() or (array != np.floor(array)).any():
        raise CommandError("masks have whole numbers as voxels: say --kind fractional")
    if array.min() < 0 or array.max() > most:
        raise CommandError(f"masks have voxels from 0 to {most} only")
    return array


def _describe(volume: "Volume", path: Path | None, kind: str, files: int) -> list[Segment]:
    """Return the segments that there are, as described or with their numbers only."""
    import numpy as np

    is_labels = volume.array.ndim == 3
    found = [int(n) for n in np.unique(volume.array) if n] if is_labels else [*range(1, files + 1)]
    known = {each.number: each for each in load_segments(path)} if path else {}
    if unknown := [number for number in found if known and number not in known]:
        raise CommandError(f"{path}: it has no segment {unknown[0]}")
    numbers = sorted(known) or found
    if not numbers:
        raise CommandError("the masks are empty, so there is no segment")
    if kind != "labelmap" and numbers != list(range(1, len(numbers) + 1)):
        raise CommandError(
            "segments are numbered from 1 without gaps (PS3.3 C.8.20.2): say --kind labelmap"
        )
    return [known.get(number) or undescribed(number) for number in numbers]


def _encode(images: list[Any], volume: "Volume", segments: list[Segment], kind: str) -> bytes:
    from importlib.metadata import version

    from highdicom.seg import Segmentation

    for image in images:
        # It is copied from the images, and they may say something else than their positions do.
        image.SpacingBetweenSlices = f"{volume.spacing_between_slices:.10g}"
    try:
        made = Segmentation(
            images,
            volume,
            kind.upper(),
            [describe(each) for each in segments],
            new_uid(),
            900,
            new_uid(),
            1,
            "pacs-core",
            "pacs-tools",
            version("pacs-tools"),
            "none",
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(f"no segmentation can be made of it: {error}") from error
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
