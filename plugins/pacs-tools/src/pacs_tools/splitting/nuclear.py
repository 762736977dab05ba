"""Frames of Nuclear Medicine images (PS3.3 C.8.4.8).

The NM Image IOD is multi-frame by its definition, and an image of one frame is one, too. Vectors
say for each frame of which energy window, detector, phase, rotation, R-R interval, time slot, view,
slice and time slice it is: the value is the number of an item of a sequence, where there is one. A
single frame has that item alone, and is the first of each.
"""

from typing import Final, Protocol

from attrs import evolve

from pacs_core.dataset import DataElement, ElementSet, encode_value, tag_of, vr_of

_DIMENSIONS: Final = (
    # the vector, the number of what it counts, and the sequences down to what that is
    ("EnergyWindowVector", "NumberOfEnergyWindows", ("EnergyWindowInformationSequence",)),
    ("DetectorVector", "NumberOfDetectors", ("DetectorInformationSequence",)),
    ("PhaseVector", "NumberOfPhases", ("PhaseInformationSequence",)),
    ("RotationVector", "NumberOfRotations", ("RotationInformationSequence",)),
    ("RRIntervalVector", "NumberOfRRIntervals",
     ("GatedInformationSequence", "DataInformationSequence")),
    ("TimeSlotVector", "NumberOfTimeSlots",
     ("GatedInformationSequence", "DataInformationSequence", "TimeSlotInformationSequence")),
    ("AngularViewVector", "", ()),
    ("SliceVector", "NumberOfSlices", ()),
    ("TimeSliceVector", "NumberOfTimeSlices", ()),
)  # fmt: skip
_DETECTORS: Final = "DetectorInformationSequence"
_ROTATIONS: Final = "RotationInformationSequence"
_CLOCKWISE: Final = "CW"


class Made(Protocol):
    """The dataset of a frame as it is made."""

    elements: dict[int, DataElement]
    character_sets: tuple[str, ...]

    def set(self, keyword: str, *values: str) -> None:
        """Give an attribute values."""

    def text(self, keyword: str) -> str:
        """Return the value of an attribute; empty if it has none."""

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute; none if it has none."""


def pick_nuclear_frame(made: Made, whole: ElementSet, number: int) -> None:
    """Leave of what vectors and their sequences say what they say of one frame.

    Parameters
    ----------
    made : Made
    whole : ElementSet
        The multi-frame image.
    number : int
        Of the frame, from 0.

    Raises
    ------
    ValueError
        A vector has no value for it, or one for which there is no item.
    """
    places = {keyword: _place(made, keyword, number) for keyword, _, _ in _DIMENSIONS}
    for keyword, count, sequences in _DIMENSIONS:
        place = places[keyword]
        if place is None:
            continue
        if sequences:
            made.elements.update(_pick(ElementSet(made.elements), sequences, place, keyword))
        made.set(keyword, "1")
        if count:
            made.set(count, "1")
    made.set("NumberOfFrames", "1")
    pointer = tag_of("FrameIncrementPointer")
    if pointer in whole.elements:
        made.elements[pointer] = whole.elements[pointer]
    _change(made, "PhaseInformationSequence", {"NumberOfFramesInPhase": ("1",)})
    _turn(made, places["AngularViewVector"])
    _shift(made, places["SliceVector"])


def _place(made: Made, keyword: str, number: int) -> int | None:
    """Return of which item a frame is, from 0."""
    values = made.texts(keyword)
    if not values:
        return None
    if number >= len(values) or not values[number].isdecimal() or int(values[number]) < 1:
        raise ValueError(f"{keyword} has no value for frame {number + 1}")
    return int(values[number]) - 1


def _pick(
    elements: ElementSet, sequences: tuple[str, ...], place: int, vector: str
) -> dict[int, DataElement]:
    """Return the sequence with the one item of a place, the last of several sequences in it."""
    tag = tag_of(sequences[0])
    element = elements.elements.get(tag)
    if element is None or not element.items:
        return {}
    if len(sequences) > 1:
        items = tuple(
            ElementSet(
                {**item.elements, **_pick(item, sequences[1:], place, vector)}, item.character_sets
            )
            for item in element.items
        )
    elif place < len(element.items):
        items = (element.items[place],)
    else:
        raise ValueError(f"{vector} says {place + 1}, and {sequences[0]} has no such item")
    return {tag: evolve(element, value=items)}


def _change(made: Made, sequence: str, values: dict[str, tuple[str, ...]]) -> None:
    """Give attributes of the one item of a sequence other values, those that it has."""
    element = made.elements.get(tag_of(sequence))
    if element is None or len(element.items) != 1:
        return
    (item,) = element.items
    changed = dict(item.elements)
    for keyword, texts in values.items():
        tag = tag_of(keyword)
        if tag in changed:
            changed[tag] = DataElement(
                tag, vr_of(tag), encode_value(vr_of(tag), texts, item.character_sets)
            )
    value = (ElementSet(changed, item.character_sets),)
    made.elements[element.tag] = evolve(element, value=value)


def _item(made: Made, sequence: str) -> ElementSet:
    element = made.elements.get(tag_of(sequence))
    return element.items[0] if element is not None and len(element.items) == 1 else ElementSet({})


def _turn(made: Made, view: int | None) -> None:
    """Say at which angle a view was, and not where its rotation began (C.8.4.12)."""
    rotation = _item(made, _ROTATIONS)
    step = "".join(rotation.texts(tag_of("AngularStep")))
    if view is None or not step:
        return
    turned = view * float(step)
    if rotation.texts(tag_of("RotationDirection")) == (_CLOCKWISE,):
        turned = -turned
    for sequence in (_ROTATIONS, _DETECTORS):
        item = _item(made, sequence)
        radii = item.texts(tag_of("RadialPosition"))
        values: dict[str, tuple[str, ...]] = {
            "NumberOfFramesInRotation": ("1",), "ScanArc": (step,),
            "RadialPosition": radii[view : view + 1] if len(radii) > 1 else radii,
        }  # fmt: skip
        if start := "".join(item.texts(tag_of("StartAngle"))):
            values["StartAngle"] = (_decimal((float(start) + turned) % 360),)
        _change(made, sequence, values)


def _shift(made: Made, place: int | None) -> None:
    """Say where a slice is, and not where the first one is (C.8.4.15)."""
    detector = _item(made, _DETECTORS)
    position, axes = (
        [float(each) for each in detector.texts(tag_of(keyword))]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    spacing = made.text("SpacingBetweenSlices")
    if not place:
        return
    made.elements.pop(tag_of("SliceLocation"), None)
    if len(position) != 3 or len(axes) != 6 or not spacing:
        # It is not known where, and where the first one is does not hold for it.
        _change(made, _DETECTORS, {"ImagePositionPatient": ()})
        return
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    moved = (
        _decimal(at + place * float(spacing) * axis)
        for at, axis in zip(position, normal, strict=True)
    )
    _change(made, _DETECTORS, {"ImagePositionPatient": tuple(moved)})


def _decimal(number: float) -> str:
    return f"{round(number, 6) + 0.0:g}" if abs(number) < 1e6 else f"{number:.10g}"
