"""``pacs split``."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from pacs_core.api.file_commands import (
    CommandError,
    Draft,
    JobsOption,
    JsonOption,
    Option,
    UsageError,
    dump_json,
    map_files,
    say,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DataElement,
    ElementSet,
    MutableAttributes,
    ReadLimits,
    UnencodableValue,
    element_header,
    encode_attributes,
    encode_elements,
    encoding_of,
    file_meta,
    read_elements,
    tag_of,
    uid_name,
)
from pacs_tools.files import DicomFile, open_dicom, open_named
from pacs_tools.instances import new_uid
from pacs_tools.splitting.classic import TARGETS, CannotSplitError, Frame, make_frame
from pacs_tools.splitting.frames import PIXEL_DATA, Span, read_frames, read_span

_SOP_CLASS, _SOP_INSTANCE = tag_of("SOPClassUID"), tag_of("SOPInstanceUID")
_FRAMES, _SOURCES = tag_of("NumberOfFrames"), tag_of("SourceImageSequence")
_LONGEST: Final = 1 << 30
_LIMITS: Final = ReadLimits(bulk=_LONGEST, value=_LONGEST, total=_LONGEST, elements=5_000_000)
"""All but pixels is read: processes that write frames cannot share the place in an open file."""


def split(
    path: Path,
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    jobs: JobsOption = 0,
    json: JsonOption = False,
) -> int:
    """Write each frame of a multi-frame image as an image of its own.

    Enhanced CT, MR, XA, XRF and PET images and US volumes, what was converted to them, and
    multi-frame secondary captures, ultrasound, XA, XRF, NM, RT images and doses become a series of
    images of one frame. Pixels are not compressed again. What would lack something that such an
    image must have is refused, as Enhanced PET images mostly are.

    Parameters
    ----------
    path
        A DICOM file.
    output
        Folder to make; it must not exist, or be empty. It appears when it is whole.
    json
        Print an object for each image, in a line of its own.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists: name a folder that is to be made")
    draft = output.with_name(f".incoming-{os.urandom(8).hex()}.part")
    try:
        made = _split(path, draft, jobs)
        if output.exists():
            output.rmdir()
        draft.rename(output)
    except CannotSplitError as error:
        raise CommandError(f"{path}: {error}") from error
    except (UnencodableValue, ValueError) as error:
        raise CommandError(f"{path}: it has a value that cannot be read: {error}") from error
    finally:
        if draft.exists():
            from shutil import rmtree  # with all that compresses

            rmtree(draft, ignore_errors=True)
    if json:
        for number, uid in enumerate(made, 1):
            file = str(output / _name(number))
            print(dump_json({"file": file, "frame": number, "sop_instance_uid": uid}))
    else:
        say(f"{len(made)} image{'' if len(made) == 1 else 's'} in {output}")
    return 0


def _name(number: int) -> str:
    return f"{number:06}.dcm"


def _split(path: Path, folder: Path, jobs: int) -> list[str]:
    """Write the images; return their SOP Instance UIDs."""
    with open_named(path, _LIMITS) as file:
        _check(file)
        count = _count_frames(file)
        known, series = _errors(path), new_uid()

        def write(frame: tuple[int, bytes | Span]) -> str:
            number, pixels = frame
            made = make_frame(file.elements, number)
            _identify(made, file.elements, series, number)
            target = folder / _name(number + 1)
            _write(file, made, read_span(path, pixels), target)
            if lacking := sorted(_errors(target) - known):
                what = "; ".join(f"{place}: {text}" for place, text in lacking[:5])
                kind = uid_name(made.text("SOPClassUID"))
                raise CannotSplitError(f"frame {number + 1} is no {kind}: {what}")
            return made.text("SOPInstanceUID")

        frames = enumerate(read_frames(file, count))
        return [*map_files(write, frames, jobs, label="splitting")]


def _check(file: DicomFile) -> None:
    sop_class = "".join(file.elements.texts(_SOP_CLASS))
    if sop_class not in TARGETS:
        known = uid_name(sop_class) or sop_class
        raise CannotSplitError(f"there is no single-frame form of {known}")
    if encoding_of(file.meta.transfer_syntax_uid).deflated:
        raise CannotSplitError("its dataset is deflated: convert it first")


def _count_frames(file: DicomFile) -> int:
    (text,) = file.elements.texts(_FRAMES)[:1] or ("1",)
    try:
        return int(text)
    except ValueError as error:
        raise CommandError(f"{file.path}: cannot be read: {text!r} frames") from error


def _errors(path: Path) -> set[tuple[str, str]]:
    from pacs_tools.validation.command import examine
    from pacs_tools.validation.findings import ERROR

    with open_dicom(path) as file:
        return {(each.place, each.text) for each in examine(file).found if each.level == ERROR}


def _identify(made: Frame, source: ElementSet, series: str, number: int) -> None:
    """Give an image UIDs, and say what it was made from (PS3.3 C.7.6.1.1.4, CID 7202)."""
    made.set("SOPInstanceUID", new_uid())
    made.set("SeriesInstanceUID", series)
    purpose = {
        "CodeValue": ("121322",), "CodingSchemeDesignator": ("DCM",),
        "CodeMeaning": ("Source image for image processing operation",),
    }  # fmt: skip
    item: MutableAttributes = {
        tag_of("ReferencedSOPClassUID"): source.texts(_SOP_CLASS),
        tag_of("ReferencedSOPInstanceUID"): source.texts(_SOP_INSTANCE),
        tag_of("ReferencedFrameNumber"): (str(number + 1),),
        tag_of("PurposeOfReferenceCodeSequence"): (
            {tag_of(keyword): value for keyword, value in purpose.items()},
        ),
    }
    encoded = encode_attributes(item, EXPLICIT_VR_LITTLE_ENDIAN)
    before = made.elements.get(_SOURCES)
    items = (
        *(before.items if before is not None else ()),
        read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN),
    )
    made.elements[_SOURCES] = DataElement(_SOURCES, "SQ", items)


def _write(file: DicomFile, made: Frame, pixels: bytes, target: Path) -> None:
    meta, syntax = file.meta, file.meta.transfer_syntax_uid
    head = file_meta(
        made.text("SOPClassUID"), made.text("SOPInstanceUID"), syntax,
        meta.source_ae_title, meta.sending_ae_title, meta.receiving_ae_title,
    )  # fmt: skip
    draft = Draft(target.parent)
    try:
        draft.write(head)
        for piece in chain(encode_elements(made.whole, syntax), _pixels(made, pixels, syntax)):
            draft.write(piece)
        draft.finish(name=target.name, durable=True)
    finally:
        draft.discard()


def _pixels(made: Frame, pixels: bytes, syntax: str) -> Iterator[bytes | bytearray | memoryview]:
    if encoding_of(syntax).encapsulated:
        from pacs_core.api.images import SEQUENCE_END, encapsulate, frame_item

        yield from (encapsulate([len(pixels)]), *frame_item(pixels), SEQUENCE_END)
        return
    padded = pixels + bytes(len(pixels) % 2)
    vr = "OB" if int(made.text("BitsAllocated")) <= 8 else "OW"
    yield element_header(PIXEL_DATA, vr, len(padded), syntax)
    yield padded
