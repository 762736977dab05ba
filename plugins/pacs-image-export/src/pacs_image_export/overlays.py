"""Overlay planes: one bit for each point, burnt in where it is set (PS3.3 C.9)."""

from collections.abc import Container
from struct import unpack

import numpy as np
from attrs import frozen
from pydicom.dataset import Dataset

from pacs_core.api.conversion import StoredFrame
from pacs_image_export.attributes import FrameAttributes, raw_value
from pacs_image_export.samples import Array, cells_of

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _ORIGIN = 0x0010, 0x0011, 0x0015, 0x0050
_FRAME_ORIGIN, _BIT_POSITION, _DATA = 0x0051, 0x0102, 0x3000
_WHITE = 255


def burn_overlays(
    picture: Array,
    frame: StoredFrame,
    attributes: FrameAttributes,
    without: Container[int] = (),
) -> Array:
    """Return a picture with the overlays of its frame in white, G and R alike.

    Parameters
    ----------
    picture : array
        Of 8 bits: grey, or red, green and blue.
    frame : StoredFrame
    attributes : FrameAttributes
        Takes warnings of overlays that cannot be shown.
    without : container of int
        Groups that are something else.
    """
    picture = picture.copy()
    for group in _GROUPS:
        if group not in without:
            _burn(picture, group, frame, attributes)
    return picture


def points_of(
    group: int, shape: tuple[int, int], frame: StoredFrame, attributes: FrameAttributes
) -> Array:
    """Return where the points of an overlay plane are in an image, if there is such a plane.

    Parameters
    ----------
    group : int
    shape : (int, int)
    frame : StoredFrame
    attributes : FrameAttributes
        Takes warnings.
    """
    points = np.zeros(shape, "u1")
    if group in _GROUPS:
        _burn(points, group, frame, attributes)
    return points.astype(bool)


def _burn(picture: Array, group: int, frame: StoredFrame, attributes: FrameAttributes) -> None:
    dataset = attributes.dataset()
    if any(element.group == group for element in dataset.keys()):  # noqa: SIM118 no dict
        try:
            _Plane(group, dataset).burn_into(picture, frame)
        except _UnusableOverlayError as error:
            attributes.warn(f"the overlay of group {group:04X} is left out: {error}")


class _UnusableOverlayError(Exception):
    """An overlay cannot be shown; the message says why."""


@frozen
class _Plane:
    """An overlay plane of a dataset."""

    group: int
    dataset: Dataset

    def burn_into(self, picture: Array, frame: StoredFrame) -> None:
        plane = self._points_for(frame)
        if plane is None:
            return
        # Row and column, from 1, of the overlay's first point; perhaps outside of the image.
        raw = self._raw(_ORIGIN)
        origin = unpack("<hh", raw[:4]) if len(raw) >= 4 else (1, 1)
        top, left = (number - 1 for number in origin)
        rows, columns = picture.shape[:2]
        part = plane[max(-top, 0) : max(rows - top, 0), max(-left, 0) : max(columns - left, 0)]
        place = picture[max(top, 0) :, max(left, 0) :][: part.shape[0], : part.shape[1]]
        place[part.astype(bool)] = _WHITE

    def _points_for(self, frame: StoredFrame) -> Array | None:
        """Return the points for a frame; None if there are none for this one."""
        data = self._raw(_DATA)
        if data:
            number = self._overlay_frame(frame.number)
            return None if number is None else self._unpack(data, number, frame)
        # Without data the points are in unused bits of Pixel Data (retired, PS3.5-2004 §8.1.2).
        bit = self._number(_BIT_POSITION)
        if bit is None or bit < frame.format.bits_stored or bit >= frame.format.bits_allocated:
            raise _UnusableOverlayError("it has no data, nor unused bits of Pixel Data")
        if frame.format.samples_per_pixel != 1:
            raise _UnusableOverlayError("it is in the bits of a colour image")
        return (cells_of(frame.data, frame.format) >> bit) & 1

    def _unpack(self, data: bytes, number: int, frame: StoredFrame) -> Array:
        rows = self._number(_ROWS) or frame.format.rows
        columns = self._number(_COLUMNS) or frame.format.columns
        size = rows * columns
        # Frames follow each other without padding (PS3.5 §8.1.2).
        start = number * size
        if start + size > 8 * len(data):
            raise _UnusableOverlayError(f"its data end before its frame {number + 1} does")
        covering = np.frombuffer(data[start // 8 : (start + size + 7) // 8], "u1")
        bits = np.unpackbits(covering, bitorder="little")
        return bits[start % 8 : start % 8 + size].reshape(rows, columns)

    def _overlay_frame(self, number: int) -> int | None:
        """Return which frame of the overlay is for a frame of the image, from 0 (PS3.3 C.9.3)."""
        text = self._raw(_FRAMES).strip(b" \0")  # an IS, unlike the numbers around it
        frames = int(text) if text.isdigit() and len(text) < 10 else None
        origin = self._number(_FRAME_ORIGIN)
        if frames is None and origin is None:
            return 0  # an overlay without the Multi-frame Overlay module is for all frames
        found = number - (origin or 1)
        return found if 0 <= found < (frames or 1) else None

    def _number(self, element: int) -> int | None:
        raw = self._raw(element)
        return int.from_bytes(raw[:2], "little") if len(raw) >= 2 else None

    def _raw(self, element: int) -> bytes:
        return raw_value(self.dataset, self.group << 16 | element)
