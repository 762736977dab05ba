"""``pacs split``."""

import shutil
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Final

from pacs_core.api.file_commands import (
    CommandError,
    Draft,
    JobsOption,
    Option,
    UsageError,
    map_files,
    say,
)
from pacs_core.dataset import ReadLimits, tag_of
from pacs_tools.files import open_dicom, open_named
from pacs_tools.instances import new_uid
from pacs_tools.names import uid_name
from pacs_tools.splitting.classic import TARGETS, CannotSplitError, make_frame
from pacs_tools.splitting.frames import Span, read_frames, read_span
from pacs_tools.validation.command import examine
from pacs_tools.validation.findings import ERROR

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SOP_CLASS: Final = tag_of("SOPClassUID")
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"


def split(
    path: Path,
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    jobs: JobsOption = 0,
) -> int:
    """Write each frame of a multi-frame image as an image of its own.

    Enhanced CT and MR images, what was converted to them, and multi-frame secondary captures become
    a series of CT, MR or Secondary Capture images. Pixels are not compressed again. What would lack
    something that such an image must have is refused, as Enhanced PET images mostly are.

    Parameters
    ----------
    path
        A DICOM file.
    output
        Folder to make; it must not exist, or be empty. It appears when it is whole.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists: name a folder that is to be made")
    draft = output.with_name(f".incoming-{token_hex(8)}.part")
    try:
        count = _split(path, draft, jobs)
        if output.exists():
            output.rmdir()
        draft.rename(output)
    except CannotSplitError as error:
        raise CommandError(f"{path}: {error}") from error
    except (CommandError, OSError):
        raise
    # The library raises whatever a damaged value happens to make it raise.
    except Exception as error:
        raise CommandError(f"{path}: it has a value that cannot be read: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"{count} image{'' if count == 1 else 's'} in {output}")
    return 0


def _check(path: Path) -> None:
    """Refuse what has no single-frame form, before what reads it is imported."""
    with open_named(path, ReadLimits(bulk=0)) as file:
        (sop_class,) = file.elements.texts(_SOP_CLASS)[:1] or ("",)
    if sop_class not in TARGETS:
        raise CannotSplitError(
            f"there is no single-frame form of {uid_name(sop_class) or sop_class}"
        )


def _split(path: Path, folder: Path, jobs: int) -> int:
    _check(path)
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    with path.open("rb") as file:
        try:
            dataset = dcmread(file, stop_before_pixels=True)
            syntax = dataset.file_meta.TransferSyntaxUID
            count = int(dataset.get("NumberOfFrames") or 1)
        except InvalidDicomError as error:
            raise CommandError(f"{path}: not a DICOM file") from error
        except (AttributeError, ValueError, KeyError, EOFError) as error:
            raise CommandError(f"{path}: cannot be read: {error}") from error
        if syntax == _DEFLATED:
            raise CannotSplitError("its dataset is deflated: convert it first")
        known = _errors(path)
        series = new_uid()

        def write(frame: tuple[int, bytes | Span]) -> None:
            number, pixels = frame
            made = make_frame(dataset, number)
            _identify(made, dataset, series, number)
            name = f"{number + 1:06}.dcm"
            _write(made, read_span(path, pixels), folder, name)
            if lacking := sorted(_errors(folder / name) - known):
                what = "; ".join(f"{place}: {text}" for place, text in lacking[:5])
                raise CannotSplitError(f"frame {number + 1} is no {made.SOPClassUID.name}: {what}")

        frames = enumerate(read_frames(file, dataset, count))
        for _ in map_files(write, frames, jobs, label="splitting"):
            pass
    return count


def _errors(path: Path) -> set[tuple[str, str]]:
    with open_dicom(path) as file:
        return {(each.place, each.text) for each in examine(file).found if each.level == ERROR}


def _identify(made: "Dataset", source: "Dataset", series: str, number: int) -> None:
    """Give an image UIDs, and say what it was made from (PS3.3 C.7.6.1.1.4, CID 7202)."""
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    made.SOPInstanceUID, made.SeriesInstanceUID = UID(new_uid()), UID(series)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    purpose, item = Dataset(), Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "121322", "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
        source.SOPClassUID,
        source.SOPInstanceUID,
    )
    item.ReferencedFrameNumber = number + 1
    item.PurposeOfReferenceCodeSequence = [purpose]
    made.SourceImageSequence = [*(made.get("SourceImageSequence") or ()), item]


def _write(made: "Dataset", pixels: bytes, folder: Path, name: str) -> None:
    from pydicom import dcmwrite
    from pydicom.encaps import encapsulate

    encapsulated = made.file_meta.TransferSyntaxUID.is_encapsulated
    made.PixelData = encapsulate([pixels]) if encapsulated else pixels + bytes(len(pixels) % 2)
    made["PixelData"].VR = "OB" if encapsulated or made.BitsAllocated <= 8 else "OW"
    made["PixelData"].is_undefined_length = encapsulated
    out = BytesIO()
    dcmwrite(out, made, enforce_file_format=True)
    draft = Draft(folder)
    try:
        draft.write(out.getvalue())
        draft.finish(name=name, durable=True)
    finally:
        draft.discard()
