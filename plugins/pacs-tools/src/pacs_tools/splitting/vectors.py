"""Attributes of frames of a multi-frame image outside of functional groups.

Vectors and increments have a value for each frame (PS3.3 C.7.6.5, C.8.7.5, C.8.8.3), multi-frame
overlays a plane (PS3.3 C.9.2), and references name frames of the image itself. A single-frame image
has the value of its frame, or none.
"""

from typing import Final, Protocol

from attrs import evolve

from pacs_core.dataset import DataElement, ElementSet, tag_of

_OVERLAYS: Final = range(0x6000, 0x6100, 2)
_OVERLAY_ROWS, _OVERLAY_COLUMNS = 0x10, 0x11
_OVERLAY_FRAMES, _OVERLAY_ORIGIN, _OVERLAY_DATA = 0x15, 0x51, 0x3000

_ANGLES: Final = {
    "PositionerPrimaryAngleIncrement": "PositionerPrimaryAngle",
    "PositionerSecondaryAngleIncrement": "PositionerSecondaryAngle",
}  # fmt: skip
_MOTIONS: Final = (
    "PositionerMotion", "TableMotion", "TableVerticalIncrement", "TableLateralIncrement",
    "TableLongitudinalIncrement", *_ANGLES,
)  # fmt: skip
_OFFSETS: Final = "GridFrameOffsetVector"
_EXPOSURES: Final = tag_of("ExposureSequence")
_FRAME_NUMBER: Final = tag_of("ReferencedFrameNumber")
_OWN_FRAMES: Final = (
    "MaskSubtractionSequence", "RecommendedViewingMode", "RepresentativeFrameNumber",
    "FrameNumbersOfInterest", "FrameOfInterestDescription", "FrameOfInterestType",
    "PreferredPlaybackSequencing", "StartTrim", "StopTrim", "RecommendedDisplayFrameRate",
    "CineRate", "FrameDelay", "ImageTriggerDelay", "EffectiveDuration", "RWavePointer",
    "RWaveTimeVector",
)  # fmt: skip
"""Of cine, mask and display: they refer to frames that are other images now."""


class Made(Protocol):
    """The dataset of a frame as it is made."""

    elements: dict[int, DataElement]

    def set(self, keyword: str, *values: str) -> None:
        """Give an attribute values."""

    def text(self, keyword: str) -> str:
        """Return the value of an attribute; empty if it has none."""

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute; none if it has none."""


def pick_frame(made: Made, number: int) -> None:
    """Leave of what is said of all frames what is said of one.

    Parameters
    ----------
    made : Made
    number : int
        Of the frame, from 0.
    """
    _pick_angles(made, number)
    _pick_plane(made, number)
    _pick_exposure(made, number)
    for group in _OVERLAYS:
        _pick_overlay(made, group << 16, number)
    for keyword in (*_MOTIONS, *_OWN_FRAMES):
        made.elements.pop(tag_of(keyword), None)


def _pick_angles(made: Made, number: int) -> None:
    """Set the angles of a frame, if increments say by how much they differ (C.8.7.5.1.3)."""
    for keyword, angle in _ANGLES.items():
        increments = [float(each or 0) for each in made.texts(keyword)]
        if not number or not any(increments) or tag_of(angle) not in made.elements:
            continue
        moved = _offset(increments, number)
        first = made.text(angle)
        if moved is None or not first:
            made.set(angle)
        else:
            # The primary angle is one around the patient (C.8.7.5.1.2).
            made.set(angle, f"{round((float(first) + moved + 180) % 360 - 180, 6):g}")


def _offset(increments: list[float], number: int) -> float | None:
    """Return by how much an angle differs from the first one; None if that is not clear.

    One value is the change from each frame to the next, several are offsets from the first. Some
    devices write changes from frame to frame there: those of a steady turn are all alike, and as
    offsets they would be those of an arm that jumps and stands still.
    """
    if len(increments) == 1:
        return number * increments[0]
    is_steady = len(increments) > 2 and len(set(increments[1:])) == 1
    return None if is_steady or number >= len(increments) else increments[number]


def _pick_plane(made: Made, number: int) -> None:
    """Give a plane of a dose its position (PS3.3 C.8.8.3.2)."""
    offsets, position = made.texts(_OFFSETS), made.texts("ImagePositionPatient")
    made.elements.pop(tag_of(_OFFSETS), None)
    axes = [float(each) for each in made.texts("ImageOrientationPatient")]
    if number >= len(offsets) or len(position) != 3 or len(axes) != 6:
        return
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    # Either the first is 0, or all are coordinates, of which the first is that of the position.
    shift = float(offsets[number]) - float(offsets[0])
    if float(offsets[0]):
        normal = (0.0, 0.0, 1.0)
    moved = (float(at) + shift * axis for at, axis in zip(position, normal, strict=True))
    made.set("ImagePositionPatient", *(f"{round(each, 6):g}" for each in moved))


def _pick_exposure(made: Made, number: int) -> None:
    """Leave the exposures of a frame of an RT Image (PS3.3 C.8.8.2)."""
    element = made.elements.get(_EXPOSURES)
    if element is None or element.vr != "SQ":
        return
    of_frame = [
        ElementSet(
            {tag: each for tag, each in item.elements.items() if tag != _FRAME_NUMBER},
            item.character_sets,
        )
        for item in element.items
        if (item.texts(_FRAME_NUMBER) or (str(number + 1),))[0] == str(number + 1)
    ]
    made.elements[_EXPOSURES] = evolve(element, value=tuple(of_frame))


def _pick_overlay(made: Made, group: int, number: int) -> None:
    """Leave the plane of a frame of an overlay that has several."""
    if group | _OVERLAY_FRAMES not in made.elements:
        return
    rows, columns, count, origin = (
        int((ElementSet(made.elements).texts(group | tag) or ("1",))[0])
        for tag in (_OVERLAY_ROWS, _OVERLAY_COLUMNS, _OVERLAY_FRAMES, _OVERLAY_ORIGIN)
    )
    data = made.elements.get(group | _OVERLAY_DATA)
    plane = number + 1 - origin
    size = rows * columns
    value = data.value if data is not None and isinstance(data.value, bytes) else b""
    if data is None or not 0 <= plane < count or (plane + 1) * size > len(value) * 8:
        for tag in [each for each in made.elements if each >> 16 == group >> 16]:
            del made.elements[tag]
        return
    for tag in (_OVERLAY_FRAMES, _OVERLAY_ORIGIN):
        made.elements.pop(group | tag, None)
    bits = take_bits(value, plane * size, size)
    made.elements[data.tag] = evolve(data, value=bits + bytes(len(bits) % 2))


def take_bits(data: bytes, start: int, count: int) -> bytes:
    """Return bits that may begin within a byte, the first as the lowest one (PS3.5 §8.1.1).

    Examples
    --------
    >>> take_bits(bytes([0b10100000, 0b00000001]), 5, 4).hex()
    '0d'
    """
    held = int.from_bytes(data[start // 8 : (start + count + 7) // 8], "little")
    held = held >> start % 8 & (1 << count) - 1
    return held.to_bytes((count + 7) // 8, "little")
