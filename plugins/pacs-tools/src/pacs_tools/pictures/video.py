"""``pacs from-video``: MP4 files as instances, wrapped and not compressed again (PS3.5 §8.2.7).

``pacs to-stream`` is the way back, and writes a single compressed frame as well.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Final, Literal

from pacs_core.api.file_commands import CommandError, UsageError, say
from pacs_core.api.images import (
    SEQUENCE_END,
    EncapsulatedFrames,
    ImageError,
    encapsulate,
    image_of,
    is_video,
)
from pacs_core.dataset import BulkData, Value, encoding_of, tag_of
from pacs_tools.files import DicomFile, open_named
from pacs_tools.instances import NO_OPTIONS, Flag, Instance, InstanceOptions, write_instance
from pacs_tools.output import check_output, write_file
from pacs_tools.pictures.h264 import Sequence, read_sequence, transfer_syntax_of
from pacs_tools.pictures.mp4 import Video, read_mp4

_PIXEL_DATA: Final = tag_of("PixelData")
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.77.1"
_KINDS: Final = {
    "endoscopy": (f"{_STORAGE}.1.1", "ES"),
    "microscopy": (f"{_STORAGE}.2.1", "GM"),
    "photo": (f"{_STORAGE}.4.1", "XC"),
}
_FRAGMENT: Final = 0xFFFF_FFFE
_BLOCK: Final = 1 << 20
_MOST_FRAMES: Final = (1 << 31) - 1


def from_video(
    source: Path,
    output: Path,
    /,
    *,
    kind: Literal["endoscopy", "microscopy", "photo"] = "endoscopy",
    region: str = "38266002,SCT,Entire body",
    options: InstanceOptions = NO_OPTIONS,
) -> None:
    """Make a video of an MP4 with H.264, which keeps its bytes.

    The transfer syntax is chosen by profile and level of the stream; what DICOM has no transfer
    syntax for is refused.

    Parameters
    ----------
    source
        The MP4.
    output
        DICOM file to write.
    kind
        Of the camera: endoscope, microscope, or another.
    region
        What of the body it shows: code, coding scheme and meaning (PS3.16 CID 4).
    """
    check_output(output, options.overwrite)
    video = read_mp4(source)
    if video.coding not in {"avc1", "avc3"}:
        raise CommandError(f"{source}: its coding is {video.coding[:8]}, not H.264")
    size = source.stat().st_size
    try:
        sequence = read_sequence(video.parameter_set)
        syntax = transfer_syntax_of(sequence, fragmented=size > _FRAGMENT)
        values = _describe(kind, video, sequence, size)
        values["AnatomicRegionSequence"] = (_code(region),)
    except CommandError as error:
        raise CommandError(f"{source}: {error}") from error
    instance = Instance(values, syntax, _PIXEL_DATA, _pieces(source, size))
    write_instance(output, instance, options)
    say(f"{output} written")


def _describe(
    kind: str, video: Video, sequence: Sequence, size: int
) -> dict[str, tuple[Value, ...]]:
    """Return the attributes of a video (PS3.3 A.32.5, C.7.6.5, C.7.6.6; PS3.5 §8.2.7)."""
    if not 0 < video.frames <= _MOST_FRAMES or video.duration <= 0:
        raise CommandError(f"it has {video.frames} frames in {video.duration} seconds")
    sop_class, modality = _KINDS[kind]
    native = video.frames * sequence.rows * sequence.columns * 3
    return {
        "SOPClassUID": (sop_class,), "Modality": (modality,),
        "ImageType": ("ORIGINAL", "PRIMARY"), "PatientOrientation": (), "Laterality": (),
        "AcquisitionContextSequence": (), "BurnedInAnnotation": ("YES",),
        "NumberOfFrames": (str(video.frames),), "FrameIncrementPointer": ("00181063",),
        "FrameTime": (f"{1000 * video.duration / video.frames:.8g}",),
        "CineRate": (str(max(1, round(video.frames / video.duration))),),
        "Rows": (str(sequence.rows),), "Columns": (str(sequence.columns),),
        "SamplesPerPixel": ("3",), "PlanarConfiguration": ("0",),
        "PhotometricInterpretation": ("YBR_PARTIAL_420",), "PixelRepresentation": ("0",),
        "BitsAllocated": ("8",), "BitsStored": ("8",), "HighBit": ("7",),
        "LossyImageCompression": ("01",), "LossyImageCompressionMethod": ("ISO_14496_10",),
        "LossyImageCompressionRatio": (f"{native / size:.4g}",),
    }  # fmt: skip


def _code(text: str) -> Value:
    parts = text.split(",", 2)
    if len(parts) != 3 or not all(parts):
        raise UsageError(f"--region {text[:64]}: write it as 38266002,SCT,Entire body")
    keywords = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    return {tag_of(keyword): (part,) for keyword, part in zip(keywords, parts, strict=True)}


def _pieces(source: Path, size: int) -> Iterator[bytes]:
    """Iterate over Pixel Data: an empty Basic Offset Table, and the stream (PS3.5 §8.2.7)."""
    header = encapsulate([size])
    yield header[:12] + pack("<HHI", 0xFFFE, 0xE000, 0)
    left = size
    with source.open("rb") as file:
        while left:
            fragment = min(left, _FRAGMENT)
            left -= fragment
            yield pack("<HHI", 0xFFFE, 0xE000, fragment + fragment % 2)
            rest = fragment
            while rest:
                block = file.read(min(_BLOCK, rest))
                if not block:
                    raise CommandError(f"{source}: it became shorter while it was read")
                rest -= len(block)
                yield block
    yield bytes(size % 2) + SEQUENCE_END


def to_stream(source: Path, output: Path, /, *, frame: int = 1, overwrite: Flag = False) -> None:
    """Write a video, or a compressed frame, as it is stored: nothing is decoded.

    A byte of padding may follow what had an odd number of bytes.

    Parameters
    ----------
    source
        A DICOM file with a video, or with images in JPEG, JPEG-LS, JPEG 2000 or the like.
    output
        File to write, as ``a.mp4`` or ``a.jpg``.
    frame
        Number of the frame, from 1, unless it is a video.
    overwrite
        Replace the output if there is one.
    """
    check_output(output, overwrite)
    file = open_named(source)
    with file:
        element = file.elements.elements.get(_PIXEL_DATA)
        bulk = element.value if element is not None else None
        syntax = file.meta.transfer_syntax_uid
        if file.damage:
            raise CommandError(f"{source}: damaged: {file.damage}")
        if not isinstance(bulk, BulkData) or not encoding_of(syntax).encapsulated:
            raise CommandError(f"{source}: it has no compressed Pixel Data")
        stream = _video(file, bulk) if is_video(syntax) else _frame(file, bulk, frame)
        write_file(output, stream)
    say(f"{output} written")


def _video(file: DicomFile, bulk: BulkData) -> Iterator[bytes]:
    """Iterate over the fragments of a video, joined."""
    pieces = file.read_bulk(bulk.offset, 1 << 62)
    buffer, first = bytearray(), True
    while True:
        while len(buffer) < 8:
            buffer += _more(file, pieces)
        if buffer[:4] == SEQUENCE_END[:4]:
            return
        if buffer[:4] != b"\xfe\xff\x00\xe0":
            raise CommandError(f"{file.path}: there is no fragment where one is due")
        left = int.from_bytes(buffer[4:8], "little")
        del buffer[:8]
        while left:
            if not buffer:
                buffer += _more(file, pieces)
            part = bytes(buffer[:left])
            del buffer[:left]
            left -= len(part)
            if not first:
                yield part
        first = False


def _more(file: DicomFile, pieces: Iterator[bytes]) -> bytes:
    try:
        return next(pieces)
    except StopIteration:
        raise CommandError(f"{file.path}: Pixel Data are cut off") from None


def _frame(file: DicomFile, bulk: BulkData, number: int) -> Iterator[bytes]:
    attributes = {element.tag: file.elements.texts(element.tag) for element in file.elements}
    try:
        image = image_of(attributes)
        if not 1 <= number <= image.frames:
            raise CommandError(f"{file.path}: it has {image.frames} frames, and none {number}")
        frames = EncapsulatedFrames(image, file.meta.transfer_syntax_uid)
        seen = 0
        for block in file.read_bulk(bulk.offset, 1 << 62):
            for frame in frames.feed(block):
                seen += 1
                if seen == number:
                    yield frame
                    return
        frames.finish()
    except ImageError as error:
        raise CommandError(f"{file.path}: {error}") from error
