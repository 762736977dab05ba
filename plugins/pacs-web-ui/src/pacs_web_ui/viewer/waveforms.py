"""Waveforms as lines over time (PS3.3 C.10.9).

How it works: each multiplex group becomes a plot, each of its channels a line in a row of its own.
Lengths are millimetres, as on paper: 25 for a second, and 10 for a millivolt. A channel that would
be too low so, or too high, or is no voltage, is as high as its row, and says from what to what.
Where there are more samples than can be told apart, the lowest and the highest of each piece of
time stay, so that no peak is lost.
"""

import sys
from array import array
from collections.abc import Sequence
from itertools import islice
from typing import Final

from attrs import frozen

from pacs_core.dataset import ElementSet, tag_of

SPEED: Final = 25.0
"""Millimetres for a second."""

GAIN: Final = 10.0
"""Millimetres for a millivolt."""

LONGEST: Final = 60.0
"""Seconds that are shown; who needs more takes a program for it."""

_MOST_GROUPS: Final = 8
_MOST_CHANNELS: Final = 64
_MOST_POINTS: Final = 4000
_ROW: Final = 20.0
_HIGHEST: Final = 60.0
_MARGIN: Final = 6.0
_CODES: Final = {
    ("SB", 8): "b", ("UB", 8): "B", ("SS", 16): "h", ("US", 16): "H",
    ("SL", 32): "i", ("UL", 32): "I", ("SV", 64): "q", ("UV", 64): "Q",
}  # fmt: skip
"""Of the module `array`; sound that is companded is not for the eye."""

_MILLIVOLTS: Final = {"nV": 1e-6, "uV": 1e-3, "mV": 1.0, "V": 1e3}


@frozen
class Channel:
    """A channel, as it is drawn.

    Attributes
    ----------
    name : str
    path : str
        Of SVG, within the plot.
    top : float
        Of its row.
    bounds : tuple of (float, float) or None
        Lowest and highest value; None where it is drawn to scale.
    unit : str
    """

    name: str
    path: str
    top: float
    bounds: tuple[float, float] | None
    unit: str


@frozen
class Plot:
    """A multiplex group.

    Attributes
    ----------
    label : str
    frequency : float
        Samples of each channel in a second.
    duration, shown : float
        Seconds that it has, and that are drawn.
    width, height : float
        Millimetres.
    channels : tuple of Channel
    """

    label: str
    frequency: float
    duration: float
    shown: float
    width: float
    height: float
    channels: tuple[Channel, ...]

    @property
    def is_to_scale(self) -> bool:
        """Whether a channel is drawn to scale."""
        return any(each.bounds is None for each in self.channels)


def read_plots(elements: ElementSet) -> list[Plot]:
    """Return the plots of a dataset; what cannot be drawn is left out."""
    groups = elements.items(tag_of("WaveformSequence"))[:_MOST_GROUPS]
    return [plot for each in groups if (plot := _plot(each)) is not None]


def _plot(group: ElementSet) -> Plot | None:
    count, frequency = (
        int(_number(group, "NumberOfWaveformChannels")),
        _number(group, "SamplingFrequency"),
    )
    code = _CODES.get(
        (_text(group, "WaveformSampleInterpretation"), int(_number(group, "WaveformBitsAllocated")))
    )
    data = _bytes(group, "WaveformData")
    if code is None or not data or count < 1 or not 0.01 <= frequency <= 1e9:
        return None
    samples = array(code)
    samples.frombytes(data[: len(data) // (count * samples.itemsize) * count * samples.itemsize])
    if sys.byteorder == "big":
        samples.byteswap()
    total = len(samples) // count
    said = int(_number(group, "NumberOfWaveformSamples"))
    total = min(total, said) if said > 0 else total  # what follows pads it to an even length
    if not total:
        return None
    shown = min(total, max(int(LONGEST * frequency), 1))
    padding = _padding(group, code)
    channels, top = [], 0.0
    definitions = group.items(tag_of("ChannelDefinitionSequence"))
    for number in range(min(count, _MOST_CHANNELS)):
        definition = definitions[number] if number < len(definitions) else ElementSet({})
        own = samples[number : shown * count : count]
        channel, height = _channel(definition, number, own, padding, frequency, top)
        channels.append(channel)
        top += height
    width = max(SPEED * shown / frequency, _ROW)
    label = _text(group, "MultiplexGroupLabel")
    return Plot(label, frequency, total / frequency, shown / frequency, width, top, tuple(channels))


def _channel(
    definition: ElementSet,
    number: int,
    samples: Sequence[int],
    padding: int | None,
    frequency: float,
    top: float,
) -> tuple[Channel, float]:
    """Return a channel, and how high its row is."""
    source = _code(definition, "ChannelSourceSequence", "CodeMeaning")
    name = _text(definition, "ChannelLabel") or source or str(number + 1)
    unit = _code(definition, "ChannelSensitivityUnitsSequence", "CodeValue")
    correction = _number(definition, "ChannelSensitivityCorrectionFactor", 1.0)
    factor = _number(definition, "ChannelSensitivity", 1.0) * correction
    baseline = _number(definition, "ChannelBaseline")
    points = _thin(samples, padding)
    values = [each * factor + baseline for _, each in points if each is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    scale = GAIN * _MILLIVOLTS.get(unit, 0.0)
    needed = (high - low) * scale
    is_to_scale = 2.0 <= needed <= _HIGHEST
    height = max(needed + _MARGIN, _ROW) if is_to_scale else _ROW
    if not is_to_scale:
        scale = (height - _MARGIN) / (high - low) if high > low else 0.0
    middle = top + height / 2
    pieces, is_down = [], False
    for at, sample in points:
        if sample is None:
            is_down = False
            continue
        x = SPEED * at / frequency
        y = middle - (sample * factor + baseline - (low + high) / 2) * scale
        pieces.append(f"{'L' if is_down else 'M'}{x:.2f} {y:.2f}")
        is_down = True
    bounds = None if is_to_scale else (low, high)
    return Channel(name[:64], "".join(pieces), top, bounds, unit[:16]), height


def _thin(samples: Sequence[int], padding: int | None) -> list[tuple[int, int | None]]:
    """Return samples with their places; None for a gap. Of many, the extremes of each piece."""
    step = -(-len(samples) // (_MOST_POINTS // 2)) if len(samples) > _MOST_POINTS else 1
    if step == 1:
        return [(at, None if each == padding else each) for at, each in enumerate(samples)]
    found: list[tuple[int, int | None]] = []
    for start in range(0, len(samples), step):
        piece = [
            (each, at)
            for at, each in enumerate(islice(samples, start, start + step), start)
            if each != padding
        ]
        if not piece:
            found.append((start, None))
            continue
        ends = sorted({min(piece)[::-1], max(piece)[::-1]})
        found += ends
    return found


def _padding(group: ElementSet, code: str) -> int | None:
    value = array(code)
    data = _bytes(group, "WaveformPaddingValue")[: value.itemsize]
    if len(data) < value.itemsize:
        return None
    value.frombytes(data)
    if sys.byteorder == "big":
        value.byteswap()
    return int(value[0])


def _bytes(elements: ElementSet, keyword: str) -> bytes:
    element = elements.elements.get(tag_of(keyword))
    return element.value if element is not None and isinstance(element.value, bytes) else b""


def _text(elements: ElementSet, keyword: str) -> str:
    return "".join(elements.texts(tag_of(keyword))[:1]).strip()


def _code(elements: ElementSet, keyword: str, part: str) -> str:
    return next((_text(each, part) for each in elements.items(tag_of(keyword))), "")


def _number(elements: ElementSet, keyword: str, default: float = 0.0) -> float:
    try:
        number = float(_text(elements, keyword))
    except ValueError:
        return default
    return number if abs(number) < 1e15 else default  # neither infinite nor a NaN
