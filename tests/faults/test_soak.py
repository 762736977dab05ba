"""The soak (``scripts/soak``), short: mixed load, faults at random, and the account."""

import json
import subprocess
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "scripts" / "soak"


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(SOAK), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


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
