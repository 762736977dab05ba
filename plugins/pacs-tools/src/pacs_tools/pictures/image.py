"""``pacs from-image``: pictures as instances of Secondary Capture or Visible Light.

PS3.3 A.8, A.32.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from pacs_core.api.file_commands import CommandError, JobsOption, say
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, DataElement, Value, element_header, tag_of
from pacs_tools.changing import check_target
from pacs_tools.folders import convert_folder
from pacs_tools.instances import NO_OPTIONS, Flag, Instance, InstanceOptions, write_instance
from pacs_tools.output import check_output
from pacs_tools.pictures.decoded import Pages, examine_pages, read_pages

if TYPE_CHECKING:
    from pacs_tools.pictures.jpeg_files import JpegFile

_PIXEL_DATA: Final = tag_of("PixelData")
_ICC_PROFILE: Final = tag_of("ICCProfile")
_LONGEST: Final = 0xFFFF_FFFE
_LONGEST_JPEG: Final = 1 << 30
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})

Values = dict[str, tuple[Value, ...]]


@frozen
class Kind:
    """A kind of instance that a picture may become.

    Attributes
    ----------
    sop_class : str
        Of a single frame.
    modality : str
    is_capture : bool
        It is a Secondary Capture, which may have several frames.
    """

    sop_class: str
    modality: str
    is_capture: bool = False


_STORAGE: Final = "1.2.840.10008.5.1.4.1.1"
KINDS: Final = {
    "sc": Kind(f"{_STORAGE}.7", "OT", is_capture=True),
    "photo": Kind(f"{_STORAGE}.77.1.4", "XC"),
    "endoscopy": Kind(f"{_STORAGE}.77.1.1", "ES"),
    "microscopy": Kind(f"{_STORAGE}.77.1.2", "GM"),
}
_MULTI_FRAME: Final = {
    (1, 8): f"{_STORAGE}.7.2",
    (1, 16): f"{_STORAGE}.7.3",
    (3, 8): f"{_STORAGE}.7.4",
}
"""Multi-frame Secondary Capture by samples and bits (PS3.3 A.8.3 to A.8.5)."""


def from_image(
    source: Path,
    output: Path,
    /,
    *,
    kind: Literal["sc", "photo", "endoscopy", "microscopy"] = "sc",
    decode: Flag = False,
    options: InstanceOptions = NO_OPTIONS,
    jobs: JobsOption = 0,
) -> int:
    """Make an image of a picture: PNG, JPEG, TIFF, BMP.

    A JPEG is not compressed again: it becomes the frame as it is, without Exif and comments. Pages
    of a TIFF become frames of a Multi-frame Secondary Capture. What DICOM cannot hold as it is, as
    transparency, is refused.

    Parameters
    ----------
    source
        The picture; or a folder, of which all such below it are taken.
    output
        DICOM file to write; for a folder the folder to write to, where that of a.png is a.png.dcm.
    kind
        "sc" for Secondary Capture; "photo", "endoscopy" and "microscopy" for Visible Light.
    decode
        Store a JPEG uncompressed, as it must be if it is progressive or to be turned.
    """
    if source.is_dir():

        def convert_found(path: Path, folder: Path) -> bool:
            if path.suffix.lower() not in _SUFFIXES:
                return False
            target = folder / f"{path.name}.dcm"
            check_target(target, replaces=options.overwrite)
            write_instance(target, _read(path, KINDS[kind], decode), options)
            return True

        return convert_folder(source, output, convert_found, jobs)
    check_output(output, options.overwrite)
    write_instance(output, _read(source, KINDS[kind], decode), options)
    say(f"{output} written")
    return 0


def _read(source: Path, kind: Kind, decode: bool) -> Instance:
    with source.open("rb") as file:
        is_jpeg = file.read(3) == b"\xff\xd8\xff"
    if not is_jpeg or decode:
        return _native(source, examine_pages(source), kind)
    if source.stat().st_size > _LONGEST_JPEG:
        raise CommandError(f"{source}: it is larger than 1 GiB")
    # What reads codestreams is for those alone.
    from pacs_tools.pictures.jpeg_files import read_jpeg_file

    try:
        picture = read_jpeg_file(source.read_bytes())
    except CommandError as error:
        raise CommandError(f"{source}: {error}") from error
    return _compressed(picture, kind)


def _compressed(picture: "JpegFile", kind: Kind) -> Instance:
    from pacs_core.api.images import SEQUENCE_END, encapsulate, frame_item

    image, length = picture.header.image, len(picture.codestream)
    bits = 8 if image.precision <= 8 else 16
    values = {
        **_describe(kind, image.rows, image.columns, image.components),
        "PhotometricInterpretation": (picture.photometric,),
        "BitsAllocated": (str(bits),),
        "BitsStored": (str(image.precision),),
        "HighBit": (str(image.precision - 1),),
    }
    if not picture.transfer_syntax.endswith((".57", ".70", ".80")):
        native = image.rows * image.columns * image.components * bits // 8
        method = "ISO_14495_1" if picture.transfer_syntax.endswith(".81") else "ISO_10918_1"
        values["LossyImageCompression"] = ("01",)
        values["LossyImageCompressionRatio"] = (f"{native / length:.4g}",)
        values["LossyImageCompressionMethod"] = (method,)
    pieces = [encapsulate([length]), *frame_item(picture.codestream), SEQUENCE_END]
    return Instance(
        values,
        picture.transfer_syntax,
        _PIXEL_DATA,
        [bytes(piece) for piece in pieces],
        _profile(picture.icc_profile, image.components),
    )


def _native(source: Path, pages: Pages, kind: Kind) -> Instance:
    if pages.bits > 8 and not kind.is_capture:
        raise CommandError(f"{source}: it has 16 bits, and Visible Light 8: use --kind sc")
    length = pages.frame_size * pages.count
    if length > _LONGEST:
        raise CommandError(f"{source}: uncompressed it has more than the 4 GiB of a value")
    values = {
        **_describe(kind, pages.rows, pages.columns, pages.samples),
        "PhotometricInterpretation": ("RGB" if pages.samples == 3 else "MONOCHROME2",),
        "BitsAllocated": (str(pages.bits),),
        "BitsStored": (str(pages.bits),),
        "HighBit": (str(pages.bits - 1),),
        "LossyImageCompression": ("01" if pages.is_lossy else "00",),
    }
    if pages.is_lossy:
        values["LossyImageCompressionRatio"] = (f"{max(1.0, length / source.stat().st_size):.4g}",)
        values["LossyImageCompressionMethod"] = ("ISO_10918_1",)
    if pages.count > 1:
        if not kind.is_capture:
            raise CommandError(
                f"{source}: it has {pages.count} pages, but an image of this kind one frame: use "
                "--kind sc"
            )
        values |= _multi_frame(pages)
    vr = "OW" if pages.bits > 8 else "OB"
    header = element_header(_PIXEL_DATA, vr, length + length % 2, EXPLICIT_VR_LITTLE_ENDIAN)
    pieces = _pieces(header, read_pages(source, pages), bytes(length % 2))
    profile = _profile(pages.icc_profile, pages.samples)
    return Instance(values, EXPLICIT_VR_LITTLE_ENDIAN, _PIXEL_DATA, pieces, profile)


def _profile(profile: bytes, samples: int) -> tuple[DataElement, ...]:
    """Return the ICC profile of a colour picture, if it has one (PS3.3 C.11.15)."""
    if not profile or samples == 1:
        return ()
    return (DataElement(_ICC_PROFILE, "OB", profile + bytes(len(profile) % 2)),)


def _pieces(header: bytes, frames: Iterable[bytes], padding: bytes) -> Iterator[bytes]:
    yield header
    yield from frames
    yield padding


def _describe(kind: Kind, rows: int, columns: int, samples: int) -> Values:
    """Return attributes of all pictures (PS3.3 C.7.6.1, C.8.6, C.8.12.1)."""
    values: Values = {
        "SOPClassUID": (kind.sop_class,),
        "Modality": (kind.modality,),
        "ImageType": ("DERIVED" if kind.is_capture else "ORIGINAL", "PRIMARY"),
        "Rows": (str(rows),),
        "Columns": (str(columns),),
        "SamplesPerPixel": (str(samples),),
        "PixelRepresentation": ("0",),
        "PatientOrientation": (),
        "Laterality": (),
        "BurnedInAnnotation": ("YES",),
    }
    if kind.is_capture:
        values["ConversionType"] = ("WSD",)
    else:
        values["AcquisitionContextSequence"] = ()
    if samples > 1:
        values["PlanarConfiguration"] = ("0",)
    return values


def _multi_frame(pages: Pages) -> Values:
    """Return attributes of several pages (PS3.3 C.7.6.6, C.8.6.3, C.8.6.4)."""
    values: Values = {
        "SOPClassUID": (_MULTI_FRAME[pages.samples, pages.bits],),
        "NumberOfFrames": (str(pages.count),),
        "FrameIncrementPointer": ("00182001",),
        "PageNumberVector": tuple(str(number) for number in range(1, pages.count + 1)),
    }
    if pages.samples == 1:
        values |= {
            "PresentationLUTShape": ("IDENTITY",),
            "RescaleIntercept": ("0",),
            "RescaleSlope": ("1",),
            "RescaleType": ("US",),
        }
    return values
