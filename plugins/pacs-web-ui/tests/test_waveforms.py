"""Waveforms as lines (PS3.3 C.10.9)."""

import re
import struct

import pytest
from hypothesis import given, settings, strategies as st
from pacs_web_ui.viewer.waveforms import LONGEST, read_plots

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, ReadLimits, read_elements
from pacs_core.testing.datasets import SampleStudy

LIMITS = ReadLimits(bulk=16 << 20)


def plots_of(data, *channels, **more):
    group = {
        "NumberOfWaveformChannels": str(len(channels)),
        "SamplingFrequency": "100",
        "ChannelDefinitionSequence": list(channels),
        "WaveformBitsAllocated": "16",
        "WaveformSampleInterpretation": "SS",
        "WaveformData": data,
    }
    made = SampleStudy().make("SR", WaveformSequence=[group | more])
    dataset = made.encode(EXPLICIT_VR_LITTLE_ENDIAN)
    return read_plots(read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN, LIMITS))


def channel(unit, sensitivity="1", baseline="0", **more):
    code = [{"CodeValue": unit, "CodingSchemeDesignator": "UCUM", "CodeMeaning": unit}]
    return {
        "ChannelSensitivityUnitsSequence": code,
        "ChannelSensitivity": sensitivity,
        "ChannelSensitivityCorrectionFactor": "1",
        "ChannelBaseline": baseline,
        **more,
    }


def shorts(*values):
    return struct.pack(f"<{len(values)}h", *values)


def points(path):
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


@pytest.mark.parametrize(
    ("unit", "sensitivity"), [("mV", "0.01"), ("uV", "10"), ("V", "0.00001"), ("nV", "10000")]
)
def test_voltages_are_to_scale(unit, sensitivity):
    (plot,) = plots_of(shorts(0, 100, -50), channel(unit, sensitivity))
    (line,) = plot.channels
    (_, zero), (x, top), (_, bottom) = points(line.path)
    assert x == pytest.approx(0.25)
    assert zero - top == pytest.approx(10, abs=0.01)
    assert bottom - zero == pytest.approx(5, abs=0.01)
    assert line.bounds is None
    assert plot.is_to_scale


def test_others_say_from_what_to_what():
    (plot,) = plots_of(shorts(0, 1000), channel("mm[Hg]", "0.1", "-20", ChannelLabel="ART"))
    (line,) = plot.channels
    assert line.bounds == pytest.approx((-20, 80))
    assert (line.name, line.unit) == ("ART", "mm[Hg]")
    assert not plot.is_to_scale


def test_channels_are_interleaved_and_each_has_a_row():
    (plot,) = plots_of(shorts(0, 5, 1000, 5, 0, 5), channel("uV"), channel("uV"))
    first, second = plot.channels
    assert len(points(first.path)) == len(points(second.path)) == 3
    assert len({y for _, y in points(second.path)}) == 1
    assert all(y <= second.top for _, y in points(first.path))
    assert plot.height >= second.top + 20


def test_padding_is_a_gap():
    (plot,) = plots_of(shorts(0, -1, 1000), channel("uV"), WaveformPaddingValue=shorts(-1))
    assert plot.channels[0].path.count("M") == 2


def test_no_peak_is_lost_among_many_samples():
    values = [0] * 50_000
    values[31_234] = 1000
    (plot,) = plots_of(shorts(*values), channel("uV"), SamplingFrequency="1000")
    found = points(plot.channels[0].path)
    assert len(found) < 5000
    highest = min(found, key=lambda point: point[1])
    assert highest[0] == pytest.approx(25 * 31.234, abs=0.01)
    assert max(y for _, y in found) - highest[1] == pytest.approx(10, abs=0.01)


def test_what_is_long_is_shown_in_part():
    (plot,) = plots_of(shorts(*([0, 900] * 5000)), channel("uV"))
    assert (plot.duration, plot.shown) == (100, LONGEST)


def test_what_follows_the_last_sample_is_padding():
    more = {"WaveformBitsAllocated": "8", "WaveformSampleInterpretation": "SB"}
    (plot,) = plots_of(b"\1\2\3\0", channel("mV"), NumberOfWaveformSamples="3", **more)
    assert plot.duration == pytest.approx(0.03)


@pytest.mark.parametrize(
    "more",
    [
        {"WaveformSampleInterpretation": "MB", "WaveformBitsAllocated": "8"},
        {"SamplingFrequency": "0"},
        {"SamplingFrequency": ""},
        {"SamplingFrequency": "1e-300"},
        {"WaveformData": b""},
        {"NumberOfWaveformChannels": "0"},
        {"NumberOfWaveformChannels": "60000"},
    ],
)
def test_what_cannot_be_drawn_is_left_out(more):
    assert plots_of(shorts(1, 2), channel("uV"), **more) == []


NUMBERS = st.sampled_from(["", "0", "-1", "1e300", "1e-300", "9999999999999999", "0.5", "3"])


@settings(deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=400),
    interpretation=st.sampled_from(["SB", "UB", "SS", "US", "SL", "UL", "AB", ""]),
    bits=st.sampled_from(["8", "16", "32", "0"]),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS),
)
def test_whatever_comes_is_drawn_or_left_out(data, interpretation, bits, numbers):
    sensitivity, baseline, frequency = numbers
    found = plots_of(
        data + b"\0" * (len(data) % 2),
        channel("mV", sensitivity, baseline),
        {},
        WaveformSampleInterpretation=interpretation,
        WaveformBitsAllocated=bits,
        SamplingFrequency=frequency,
    )
    for plot in found:
        assert 0 < plot.width <= 25 * LONGEST * 1.01 or plot.width == 20
        for each in plot.channels:
            for _, y in points(each.path):
                assert each.top - 0.1 <= y <= plot.height + 0.1
