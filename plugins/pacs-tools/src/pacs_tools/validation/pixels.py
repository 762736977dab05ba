"""Checks of Pixel Data: their length and VR, offset tables, and each codestream (PS3.5 §8, A.4)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from pacs_core.api.images import (
    CodecError,
    EncapsulatedFrames,
    Image,
    ImageError,
    announced_image,
    image_of,
    is_video,
    native_length,
    offsets_of,
    read_jpeg,
)
from pacs_core.dataset import BulkData, DataElement, encoding_of, tag_of
from pacs_tools.files import DicomFile
from pacs_tools.validation.findings import ERROR, WARNING, Findings

_PIXEL_DATA: Final = tag_of("PixelData")
_FLOATS: Final = {tag_of("FloatPixelData"): 4, tag_of("DoubleFloatPixelData"): 8}
_OFFSETS: Final = tag_of("ExtendedOffsetTable")
_LENGTHS: Final = tag_of("ExtendedOffsetTableLengths")
_ATTRIBUTES: Final = tuple(
    map(
        tag_of,
        (
            "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit",
            "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames",
            "PhotometricInterpretation",
        ),
    )
)  # fmt: skip
_PROCESSES: Final = {
    "1.2.840.10008.1.2.4.50": (frozenset({0xC0}), "baseline (process 1)"),
    "1.2.840.10008.1.2.4.51": (frozenset({0xC0, 0xC1}), "extended (processes 2 and 4)"),
    "1.2.840.10008.1.2.4.57": (frozenset({0xC3}), "lossless (process 14)"),
    "1.2.840.10008.1.2.4.70": (frozenset({0xC3}), "lossless (process 14)"),
    "1.2.840.10008.1.2.4.80": (frozenset({0xF7}), "JPEG-LS"),
    "1.2.840.10008.1.2.4.81": (frozenset({0xF7}), "JPEG-LS"),
}
"""Frame headers of JPEG that a transfer syntax has (PS3.5 A.4.1, A.4.3)."""

_JPEG: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (*range(50, 67), 70, 80, 81))
_J2K: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93, 201, 202, 203))
_MOST: Final = 0xFFFF_FFFF


def check_pixels(file: DicomFile, findings: Findings) -> None:
    """Note what of the Pixel Data of a file is not as its attributes say."""
    element = file.elements.elements.get(_PIXEL_DATA)
    for tag, size in _FLOATS.items():
        if (floats := file.elements.elements.get(tag)) is not None:
            _check_floats(file, floats, size, findings)
    if element is None:
        return
    attributes = {
        tag: file.elements.texts(tag) for tag in _ATTRIBUTES if tag in file.elements.elements
    }
    try:
        image = image_of(attributes)
    except ImageError as error:
        findings.add(ERROR, "pixels", (_PIXEL_DATA,), str(error), "PS3.3 C.7.6.3")
        return
    for note in image.notes:
        findings.add(ERROR, "pixels", (_PIXEL_DATA,), note, "PS3.3 C.7.6.3.1")
    bulk = element.value
    is_encapsulated = isinstance(bulk, BulkData) and bulk.length is None
    if is_encapsulated != encoding_of(file.meta.transfer_syntax_uid).encapsulated:
        text = f"are {'' if is_encapsulated else 'not '}encapsulated, unlike the transfer syntax"
        findings.add(ERROR, "pixels", (_PIXEL_DATA,), text, "PS3.5 A.4")
    elif is_encapsulated:
        _check_encapsulated(file, element, image, findings)
    else:
        _check_native(element, image, findings)


def _length(element: DataElement) -> int:
    value = element.value
    return (value.length or 0) if isinstance(value, BulkData) else len(value)


def _check_native(element: DataElement, image: Image, findings: Findings) -> None:
    length, expected = _length(element), native_length(image)
    padded = expected + expected % 2
    if length != padded:
        more = "more" if length > padded else "fewer"
        findings.add(
            ERROR, "pixels", (_PIXEL_DATA,),
            f"have {length} bytes, {more} than the {padded} that their attributes say",
            "PS3.5 §8.1.1",
        )  # fmt: skip
    if image.format.bits_allocated > 8 and element.vr == "OB":
        findings.add(
            ERROR, "vr", (_PIXEL_DATA,), "have VR OB, but more than 8 bits allocated: OW",
            "PS3.5 A.2",
        )  # fmt: skip


def _check_floats(file: DicomFile, element: DataElement, size: int, findings: Findings) -> None:
    numbers = [
        "".join(file.elements.texts(tag_of(keyword))[:1]) or "1"
        for keyword in ("Rows", "Columns", "NumberOfFrames")
    ]
    if not all(number.isdecimal() and len(number) < 12 for number in numbers):
        return
    expected = size
    for number in numbers:
        expected *= int(number)
    if _length(element) != expected:
        text = f"have {_length(element)} bytes, not the {expected} that their attributes say"
        findings.add(ERROR, "pixels", (element.tag,), text, "PS3.3 C.7.6.24")


def _check_encapsulated(
    file: DicomFile, element: DataElement, image: Image, findings: Findings
) -> None:
    syntax = file.meta.transfer_syntax_uid
    if element.vr not in {"OB", "UN"}:
        text = f"have VR {element.vr}, but are encapsulated: OB"
        findings.add(ERROR, "vr", (_PIXEL_DATA,), text, "PS3.5 A.4")
    if is_video(syntax):
        return
    try:
        frames = EncapsulatedFrames(image, syntax, _table(file, _OFFSETS), _table(file, _LENGTHS))
        for number, frame in enumerate(_frames(file, element, frames), 1):
            _check_frame(number, frame, image, syntax, findings)
        for note in frames.notes:
            findings.add(ERROR, "pixels", (_PIXEL_DATA,), note, "PS3.5 A.4")
    except ImageError as error:
        findings.add(ERROR, "pixels", (_PIXEL_DATA,), str(error), "PS3.5 A.4")


def _table(file: DicomFile, tag: int) -> "list[int] | None":
    element = file.elements.elements.get(tag)
    if element is None:
        return None
    value = element.value
    if isinstance(value, bytes):
        return list(offsets_of(value))
    if isinstance(value, tuple) or value.length is None:
        raise ImageError("an Extended Offset Table has no value of VR OV")
    if value.length % 8 or value.length > 1 << 24:
        raise ImageError(f"an Extended Offset Table cannot have {value.length} bytes")
    return list(offsets_of(b"".join(file.read_bulk(value.offset, value.length))))


def _frames(file: DicomFile, element: DataElement, frames: EncapsulatedFrames) -> Iterator[bytes]:
    bulk = element.value
    if not isinstance(bulk, BulkData):
        return
    for block in file.read_bulk(bulk.offset, _MOST):
        yield from frames.feed(block)
        if frames.done:
            break
    frames.finish()


def _check_frame(number: int, frame: bytes, image: Image, syntax: str, findings: Findings) -> None:
    for level, text in islice(_faults(frame, image, syntax), 8):
        findings.add(level, "codestream", (_PIXEL_DATA,), f"frame {number}: {text}", "PS3.5 §8.2")


def _faults(frame: bytes, image: Image, syntax: str) -> Iterable[tuple[str, str]]:
    """Iterate over what a codestream says that attributes do not."""
    if syntax not in _JPEG and syntax not in _J2K:
        return
    announced = announced_image(frame)
    if announced is None:
        yield ERROR, "is no codestream that can be read"
        return
    form = image.format
    for keyword, said, found in (
        ("Rows", form.rows, announced.rows),
        ("Columns", form.columns, announced.columns),
        ("SamplesPerPixel", form.samples_per_pixel, announced.components),
    ):
        if said != found:
            yield ERROR, f"{keyword} is {said}, but {found} in the codestream"
    bits = f"a sample has {announced.precision} bits in the codestream"
    if announced.precision > form.bits_allocated:
        yield ERROR, f"BitsAllocated is {form.bits_allocated}, but {bits}"
    elif announced.precision != form.bits_stored:
        yield WARNING, f"BitsStored is {form.bits_stored}, but {bits}"
    if frame.startswith(b"\xff\xd8"):
        yield from _jpeg_faults(frame, image, syntax)


def _jpeg_faults(frame: bytes, image: Image, syntax: str) -> Iterable[tuple[str, str]]:
    try:
        header = read_jpeg(frame)
    except CodecError as error:
        yield ERROR, str(error)
        return
    if not header.is_whole:
        yield ERROR, "the codestream has no end (EOI)"
    processes, name = _PROCESSES.get(syntax, (None, ""))
    if processes is None and syntax in _J2K:
        yield ERROR, "is a JPEG, not a JPEG 2000 codestream"
    elif processes is not None and header.process not in processes:
        yield ERROR, f"its frame header is FF{header.process:02X}H, but the syntax is {name}"
    if header.is_jfif and image.format.photometric_interpretation == "RGB":
        yield WARNING, "PhotometricInterpretation is RGB, but JFIF has YCbCr"
