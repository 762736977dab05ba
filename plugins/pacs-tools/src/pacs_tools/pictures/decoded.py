"""PNG, TIFF, BMP and JPEG files decoded by Pillow, page by page, as native frames."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from warnings import catch_warnings

from attrs import frozen

from pacs_core.api.file_commands import CommandError

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP")
_LOSSY: Final = frozenset({"jpeg", "tiff_jpeg", "webp"})
_BITS_PER_SAMPLE: Final = 258
_MOST_PAGES: Final = 100_000
_DAMAGE: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip
"""What Pillow raises for files that are damaged."""


@frozen
class Pages:
    """What the pages of a file have in common.

    Attributes
    ----------
    rows, columns : int
    samples : int
        1 or 3.
    bits : int
        8 or 16.
    count : int
    is_lossy : bool
        They were compressed with loss before.
    icc_profile : bytes
    """

    rows: int
    columns: int
    samples: int
    bits: int
    count: int
    is_lossy: bool
    icc_profile: bytes

    @property
    def frame_size(self) -> int:
        """Bytes of a page."""
        return self.rows * self.columns * self.samples * self.bits // 8


def examine_pages(path: Path) -> Pages:
    """Return what the pages of a file have in common, as far as headers say it.

    Raises
    ------
    CommandError
        It is no such picture, pages differ, or something of it would be lost.
    """
    with _open(path) as image:
        count = getattr(image, "n_frames", 1)
        if count > _MOST_PAGES:
            raise CommandError(f"{path}: it has more than {_MOST_PAGES} pages")
        forms = set()
        for number in range(count):
            image.seek(number)
            forms.add(_form(path, image))
            if len(forms) > 1:
                raise CommandError(
                    f"{path}: page {number + 1} has another size or kind of samples than those "
                    "before, so they cannot be frames of one image"
                )
        ((rows, columns, samples, bits),) = forms
        compression = str(image.info.get("compression", ""))
        is_lossy = image.format == "JPEG" or compression in _LOSSY
        profile = image.info.get("icc_profile") or b""
    return Pages(rows, columns, samples, bits, count, is_lossy, profile)


def read_pages(path: Path, pages: Pages) -> Iterator[bytes]:
    """Iterate over the pages as native frames: by pixel, little endian, without padding.

    Raises
    ------
    CommandError
        A page is damaged, or transparent.
    """
    with _open(path) as image:
        for number in range(pages.count):
            try:
                image.seek(number)
                frame = _samples(path, image, pages)
            except (OSError, *_DAMAGE) as error:
                raise CommandError(f"{path}: page {number + 1} is damaged: {error}") from error
            if len(frame) != pages.frame_size:
                raise CommandError(f"{path}: page {number + 1} is not as its header says")
            yield frame


@contextmanager
def _open(path: Path) -> Iterator["Image"]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise CommandError(
            "to read pictures Pillow is needed: pip install 'pacs-tools[images]'"
        ) from error
    try:
        # What Pillow warns of it reads all the same, or fails.
        with catch_warnings(action="ignore"), Image.open(path, formats=_FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        raise CommandError(f"{path}: it is no {', '.join(_FORMATS)} that can be read") from error
    except (Image.DecompressionBombError, *_DAMAGE) as error:
        raise CommandError(f"{path}: it cannot be read: {error}") from error
    except OSError as error:
        if error.errno is None:  # Pillow's own, of what it reads
            raise CommandError(f"{path}: it is damaged: {error}") from error
        raise


def _form(path: Path, image: "Image") -> tuple[int, int, int, int]:
    """Return rows, columns, samples, bits; refuse what Pillow would make less of."""
    if _bits(path, image) > 8 and image.mode not in {"I;16", "I;16B", "I;16L", "I"}:
        raise CommandError(f"{path}: it has colours of more than 8 bits, which would be lost")
    columns, rows = _turned_size(image)
    if max(rows, columns) > 0xFFFF:
        raise CommandError(f"{path}: it has {columns} columns and {rows} rows, more than 65535")
    if image.mode in {"1", "L", "LA"}:
        return rows, columns, 1, 8
    if image.mode.startswith("I"):
        return rows, columns, 1, 16
    if image.mode in {"RGB", "RGBA", "P", "PA", "RGBX"} or (
        image.mode == "YCbCr" and image.format in {"JPEG", "TIFF"}
    ):
        return rows, columns, 3, 8
    raise CommandError(f"{path}: its samples are {image.mode}, which DICOM has not: convert it")


def _bits(path: Path, image: "Image") -> int:
    """Return bits per sample as the file says: Pillow would give the higher half of 16 only."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]
    tags: Any = getattr(image, "tag_v2", None)
    return max(tags.get(_BITS_PER_SAMPLE, (1,))) if tags is not None else 8


def _turned_size(image: "Image") -> tuple[int, int]:
    turned = image.getexif().get(0x0112) in {5, 6, 7, 8}
    return (image.height, image.width) if turned else (image.width, image.height)


def _samples(path: Path, image: "Image", pages: Pages) -> bytes:
    from PIL import ImageOps

    page = ImageOps.exif_transpose(image)
    if pages.bits == 16:
        return _words(path, page)
    if "A" in page.mode or "transparency" in page.info:
        alpha = page.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise CommandError(f"{path}: it is transparent in places: lay it on a colour first")
    return page.convert("L" if pages.samples == 1 else "RGB").tobytes()


def _words(path: Path, page: "Image") -> bytes:
    if page.mode == "I":
        least, most = page.getextrema()
        if not 0 <= float(str(least)) <= float(str(most)) <= 0xFFFF:
            raise CommandError(f"{path}: it has values beyond 16 bits: {least} to {most}")
        page = page.convert("I;16")
    return page.tobytes("raw", "I;16")
