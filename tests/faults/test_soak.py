"""The soak (``scripts/soak``), short: mixed load, faults at random, and the account."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from ..soak.resources import Resources, Series

SOAK = Path(__file__).parents[2] / "scripts" / "soak"


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(SOAK), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def held(memory=100e6, threads=40, **descriptors):
    return Resources(1, threads, int(memory), 0, Counter(descriptors))


@given(st.lists(st.integers(-4_000_000, 4_000_000), min_size=24, max_size=80))
def test_what_goes_up_and_down_has_levelled_off(noise):
    assert Series([held(100e6 + each, sockets=9) for each in noise]).growth() == []


@given(st.integers(24, 200), st.sampled_from(["memory", "threads", "descriptors"]))
def test_what_grows_by_half_in_the_last_half_has_not(count, what):
    def sample(part):
        grown = 1 + max(0, part - 0.5)
        more = {
            "memory": {"memory": 200e6 * grown},
            "threads": {"threads": 40 * grown},
            "descriptors": {"sockets": round(60 * grown)},
        }
        return held(**more[what])

    (told,) = Series([sample(number / count) for number in range(count)]).growth()
    assert told.startswith(f"{what} did not level off")


def test_growth_that_has_ended_before_the_last_half_is_none():
    assert Series([held(min(200e6, 10e6 * number)) for number in range(60)]).growth() == []


def test_at_rest_a_kind_of_descriptors_may_grow_to_what_is_kept_of_it_and_others_not():
    before = held(directories=20, database=8, sockets=2)
    assert held(directories=130, database=26, sockets=4).growth(before) == []
    (told,) = held(directories=130, database=26, sockets=5).growth(before)
    assert told == "descriptors of sockets grew from 2 to 5"
    assert held(directories=20, database=31).growth(before)
    assert held(objects=3).growth(before)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", ["sqlite", "journal", "workers", "postgresql"])
def test_two_minutes_have_no_findings(tmp_path, variant):
    done = run("--minutes", 2, "--variant", variant, "--tally", tmp_path / "tally.json")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kills_are_counted_over_runs(tmp_path):
    """Nothing that was acknowledged before a SIGKILL is lost."""
    tally = tmp_path / "tally.json"
    for number in (1, 2):
        done = run("--kills", 5, "--tally", tally)
        assert done.returncode == 0, done.stdout + done.stderr
        sums = json.loads(tally.read_text())
        assert (sums["runs"], sums["kills"], sums["lost"]) == (number, 5 * number, 0)
    assert sums["acknowledgements"] > 20
