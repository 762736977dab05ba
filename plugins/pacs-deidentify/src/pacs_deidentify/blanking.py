"""Pixels of regions replaced by black, or by whatever is black in an image."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import IO, Protocol

from attrs import frozen
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pacs_core.dataset import swap_words
from pacs_deidentify.bit_blanking import BitLayout
from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
from pacs_deidentify.regions import Region


class Removable(Protocol):
    """What of an image is a face."""

    def blank(self, data: bytearray, frame: int) -> None:
        """Replace it in a frame."""


@frozen
class NativeLayout:
    """Where the samples of native frames are (PS3.5 §8.1, PS3.3 C.7.6.3).

    Attributes
    ----------
    rows, columns, frames : int
    sample : int
        Bytes of a sample.
    samples : int
        For each pixel.
    planar : bool
        Whether planes of samples follow each other.
    fill : bytes
        One pixel that is black.
    mask : bytes
        One sample with all bits that are used.
    pair : int
        Pixels that share chroma and stand together: 2 in YBR_FULL_422, else 1. Then columns are
        pairs.
    swaps : bool
        Whether samples of a byte stand in words, big endian: the second one first (PS3.5 8.1.1).
    """

    rows: int
    columns: int
    frames: int
    sample: int
    samples: int
    planar: bool
    fill: bytes
    mask: bytes
    pair: int = 1
    swaps: bool = False

    @property
    def length(self) -> int:
        """Bytes of all frames."""
        return self.rows * self.columns * self.samples * self.sample * self.frames

    @property
    def planes(self) -> int:
        """How many there are of what follows each other: frames, or planes of their samples."""
        return self.frames * (self.samples if self.planar else 1)

    @property
    def plane_length(self) -> int:
        """Bytes of each."""
        return self.length // self.planes

    def blank(self, data: bytearray, plane: int, regions: Iterable[Region]) -> None:
        """Blank regions of a plane.

        Parameters
        ----------
        data : bytearray
            The plane.
        plane : int
            Its number, from 0.
        regions : iterable of Region
        """
        pixel = self.fill
        if self.planar:
            first = plane % self.samples * self.sample
            pixel = pixel[first : first + self.sample]
        for region in regions:
            right = -(-(region.x + region.width) // self.pair)
            left, right = max(region.x // self.pair, 0), min(right, self.columns)
            for row in range(max(region.y, 0), min(region.y + region.height, self.rows)):
                start = (row * self.columns + left) * len(pixel)
                if left < right:
                    data[start : start + (right - left) * len(pixel)] = pixel * (right - left)

    def clear(self, data: bytearray) -> None:
        """Clear the bits of samples that are not used, in which overlays may be."""
        used = int.from_bytes(self.mask * (len(data) // self.sample), "little")
        data[:] = (int.from_bytes(data, "little") & used).to_bytes(len(data), "little")


Layout = NativeLayout | BitLayout


def native_layout(
    dataset: Dataset, transfer_syntax_uid: str = "", *, words: bool = False
) -> Layout:
    """Return the layout of an image.

    Parameters
    ----------
    dataset : Dataset
    transfer_syntax_uid : str
    words : bool
        Whether Pixel Data is of words (OW).

    Raises
    ------
    DeidentificationError
        It is compressed, or samples begin neither at bytes nor at single bits.
    """
    if transfer_syntax_uid and UID(transfer_syntax_uid).is_encapsulated:
        raise CompressedPixelsError(
            "pixels are compressed, and nothing here decodes them, so that they cannot be blanked"
        )
    allocated = int(dataset.BitsAllocated)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    order = "little" if dataset.original_encoding[1] is not False else "big"
    swaps = words and order == "big" and allocated <= 8
    if allocated == 1 and int(dataset.get("SamplesPerPixel", 1)) == 1:
        return BitLayout(
            rows=int(dataset.Rows),
            columns=int(dataset.Columns),
            frames=int(dataset.get("NumberOfFrames", None) or 1),
            black=_black(dataset, photometric)[0] & 1,
            swaps=swaps,
        )
    if allocated % 8 or photometric in {"YBR_PARTIAL_422", "YBR_PARTIAL_420"}:
        raise DeidentificationError(f"pixels of {allocated} bits, {photometric}, cannot be blanked")
    size, samples = allocated // 8, int(dataset.get("SamplesPerPixel", 1))
    pair = 2 if photometric == "YBR_FULL_422" else 1
    if int(dataset.Columns) % pair:
        raise DeidentificationError("an odd number of columns cannot have chroma for each second")
    black = _black(dataset, photometric)
    if pair > 1:  # Y, Y, CB, CR (PS3.3 C.7.6.3.1.2)
        samples, black = 4, [black[0], *black]
    stored = int(dataset.BitsStored)
    high = int(dataset.get("HighBit", stored - 1))
    used = ((1 << stored) - 1) << max(high + 1 - stored, 0)
    values = black * samples if len(black) == 1 else black
    return NativeLayout(
        rows=int(dataset.Rows),
        columns=int(dataset.Columns) // pair,
        frames=int(dataset.get("NumberOfFrames", None) or 1),
        sample=size,
        samples=samples,
        planar=samples == 3 and int(dataset.get("PlanarConfiguration", 0)) == 1,
        pair=pair,
        mask=(used & (1 << allocated) - 1).to_bytes(size, order),  # type: ignore[arg-type]
        fill=b"".join(value.to_bytes(size, order) for value in values),  # type: ignore[arg-type]
        swaps=swaps,
    )


def blank_planes(
    content: IO[bytes],
    layout: Layout,
    regions: Sequence[Region],
    *,
    clears_unused: bool,
    face: Removable | None = None,
) -> Iterator[bytes]:
    """Iterate over the planes of native pixels, of which regions are blanked.

    Parameters
    ----------
    content : file
        At the first of them.
    layout : Layout
    regions : sequence of Region
    clears_unused : bool
        Whether bits of samples that are not used are cleared, too.
    face : Removable, optional
        What is replaced of them, too.

    Raises
    ------
    DeidentificationError
        Its planes cannot be taken apart.
    """
    if layout.swaps and layout.planes > 1 and layout.plane_length % 2:
        raise DeidentificationError("frames that begin within a big endian word cannot be blanked")
    left = layout.length
    for plane in range(layout.planes):
        size = min(layout.plane_length, left)
        padding = size % 2 if layout.swaps else 0  # the half of a word without a sample
        data = bytearray(content.read(size + padding))
        if layout.swaps:
            data = bytearray(swap_words(bytes(data), 2))
        data[size:] = bytes(padding)
        layout.blank(data, plane, regions)
        if face:
            face.blank(data, plane)
        if clears_unused:
            layout.clear(data)
        yield bytes(swap_words(bytes(data), 2) if layout.swaps else data)
        left -= size


def used_length(dataset: Dataset) -> tuple[int, int]:
    """Return the bytes that all native frames have, and one; zeros where that cannot be told."""
    try:
        samples = int(dataset.get("SamplesPerPixel", 1))
        if "422" in str(dataset.get("PhotometricInterpretation", "")):
            samples = 2
        bits = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated)
        frames = int(dataset.get("NumberOfFrames", None) or 1)
    except (AttributeError, TypeError, ValueError):
        return 0, 0
    return -(-bits * frames // 8), -(-bits // 8)


def blank_pixels(
    dataset: Dataset,
    regions: Sequence[Region],
    *,
    clears_unused: bool = False,
    face: Removable | None = None,
) -> None:
    """Blank regions, and a face, of native Pixel Data (7FE0,0010) that a dataset holds."""
    words = dataset["PixelData"].VR == "OW"
    layout = native_layout(dataset, words=words)
    content = BytesIO(dataset.PixelData)
    if len(dataset.PixelData) < layout.length:
        raise DeidentificationError("Pixel Data is shorter than its attributes say")
    planes = blank_planes(content, layout, regions, clears_unused=clears_unused, face=face)
    pieces = list(planes)
    dataset.PixelData = b"".join([*pieces, content.read()])


def _black(dataset: Dataset, photometric: str) -> list[int]:
    stored, is_signed = int(dataset.BitsStored), int(dataset.get("PixelRepresentation", 0)) == 1
    lowest = 1 << stored - 1 if is_signed else 0
    highest = (1 << stored - (1 if is_signed else 0)) - 1
    if photometric == "MONOCHROME1":
        return [highest]
    if photometric == "PALETTE COLOR":
        return [_darkest(dataset)]
    if photometric.startswith("YBR"):
        return [0, 1 << stored - 1, 1 << stored - 1]
    return [lowest]


def _darkest(dataset: Dataset) -> int:
    """Return the darkest entry of a palette (PS3.3 C.7.6.3.1.5); 0 where it cannot be told."""
    tables = []
    for colour in ("Red", "Green", "Blue"):
        descriptor = dataset.get(f"{colour}PaletteColorLookupTableDescriptor")
        data = dataset.get(f"{colour}PaletteColorLookupTableData")
        if not descriptor or not isinstance(data, bytes):
            return 0
        count, first, bits = (int(number) for number in descriptor)
        size = 2 if bits > 8 or len(data) >= 2 * count else 1
        order = "little" if dataset.original_encoding[1] is not False else "big"
        entries = range(min(count or 1 << 16, len(data) // size))
        tables.append(
            [int.from_bytes(data[n * size : (n + 1) * size], order) for n in entries]  # type: ignore[arg-type]
        )
    sums = [sum(entry) for entry in zip(*tables, strict=False)]
    return first + sums.index(min(sums)) if sums and first >= 0 else 0
