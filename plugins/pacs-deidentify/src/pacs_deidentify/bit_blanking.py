"""Regions blanked in images of one bit for each pixel (Bits Allocated 1)."""

from collections.abc import Iterable

from attrs import frozen

from pacs_deidentify.regions import Region

# Theory of operation
#
# The first pixel is the least significant bit of the first byte (PS3.5 8.2, Annex D), and frames
# follow each other without padding (PS3.5 8.1.1): a frame of 5 x 3 pixels ends within a byte, in
# which the next one begins. Eight frames together have as many bytes as one has pixels, however
# many these are. So eight are read at a time, as a plane of larger pixels would be; the last ones
# may be less.

_TOGETHER = 8


@frozen
class BitLayout:
    """Where the pixels of native frames of single bits are.

    Attributes
    ----------
    rows, columns, frames : int
    black : int
        The bit that is black.
    swaps : bool
        Whether bytes stand in words, big endian: the second one first.
    """

    rows: int
    columns: int
    frames: int
    black: int
    swaps: bool = False

    @property
    def length(self) -> int:
        """Bytes of all frames."""
        return -(-self.rows * self.columns * self.frames // 8)

    @property
    def planes(self) -> int:
        """How many times some frames follow each other that begin at a byte."""
        return -(-self.frames // _TOGETHER)

    @property
    def plane_length(self) -> int:
        """Bytes of each; the last one may be shorter."""
        return self.rows * self.columns

    def blank(self, data: bytearray, plane: int, regions: Iterable[Region]) -> None:
        """Blank regions of some frames, and what follows the last pixel of all.

        Parameters
        ----------
        data : bytearray
            The frames.
        plane : int
            Number of them, from 0.
        regions : iterable of Region
        """
        frames = min(self.frames - plane * _TOGETHER, _TOGETHER)
        for region in regions:
            left, right = max(region.x, 0), min(region.x + region.width, self.columns)
            top, bottom = max(region.y, 0), min(region.y + region.height, self.rows)
            if left >= right:
                continue
            for frame in range(frames):
                for row in range(top, bottom):
                    start = (frame * self.rows + row) * self.columns
                    _fill(data, start + left, start + right, self.black)
        _fill(data, frames * self.rows * self.columns, len(data) * 8, 0)

    def clear(self, data: bytearray) -> None:
        """Do nothing: each bit is a pixel."""


def _fill(data: bytearray, start: int, end: int, bit: int) -> None:
    """Set the bits from one to another."""
    first, last = start // 8, -(-end // 8)
    if first >= last:
        return
    mask = ((1 << end - start) - 1) << start % 8
    old = int.from_bytes(data[first:last], "little")
    data[first:last] = (old | mask if bit else old & ~mask).to_bytes(last - first, "little")
