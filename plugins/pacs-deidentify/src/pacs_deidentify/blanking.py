"""Pixels of regions replaced by black, or by whatever is black in an image."""

from collections.abc import Iterable, Sequence

from attrs import frozen
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
from pacs_deidentify.regions import Region


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


def native_layout(dataset: Dataset, transfer_syntax_uid: str = "") -> NativeLayout:
    """Return the layout of an image.

    Raises
    ------
    DeidentificationError
        It is compressed, or samples do not begin at bytes.
    """
    if transfer_syntax_uid and UID(transfer_syntax_uid).is_encapsulated:
        raise CompressedPixelsError(
            "pixels are compressed, and nothing here decodes them, so that they cannot be blanked"
        )
    allocated = int(dataset.BitsAllocated)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if allocated % 8 or photometric in {"YBR_PARTIAL_422", "YBR_PARTIAL_420"}:
        raise DeidentificationError(f"pixels of {allocated} bits, {photometric}, cannot be blanked")
    size, samples = allocated // 8, int(dataset.get("SamplesPerPixel", 1))
    pair = 2 if photometric == "YBR_FULL_422" else 1
    if int(dataset.Columns) % pair:
        raise DeidentificationError("an odd number of columns cannot have chroma for each second")
    black = _black(dataset, photometric)
    if pair > 1:  # Y, Y, CB, CR (PS3.3 C.7.6.3.1.2)
        samples, black = 4, [black[0], *black]
    order = "little" if dataset.original_encoding[1] is not False else "big"
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
    )


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
    return -(-bits * frames // 8), bits // 8


def blank_pixels(
    dataset: Dataset, regions: Sequence[Region], *, clears_unused: bool = False
) -> None:
    """Blank regions of native Pixel Data (7FE0,0010) that a dataset holds."""
    layout = native_layout(dataset)
    content = bytes(dataset.PixelData)
    if len(content) < layout.length:
        raise DeidentificationError("Pixel Data is shorter than its attributes say")
    size, pieces = layout.plane_length, []
    for plane in range(layout.planes):
        data = bytearray(content[plane * size : (plane + 1) * size])
        layout.blank(data, plane, regions)
        if clears_unused:
            layout.clear(data)
        pieces.append(bytes(data))
    dataset.PixelData = b"".join([*pieces, content[layout.length :]])


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
