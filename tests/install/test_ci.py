"""What CI runs is what the README says."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ROOT / ".ci" / "run"


def test_the_script_can_be_run():
    assert os.access(RUN, os.X_OK)
    subprocess.run(["bash", "-n", RUN], check=True)
    assert "set -euo pipefail" in RUN.read_text(encoding="utf-8")


def test_it_runs_the_tests_as_the_readme_does():
    command = "uv run --group dev pytest"
    assert f"{command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{command} " in RUN.read_text(encoding="utf-8")


def test_it_needs_the_peers():
    assert "PACS_REQUIRE_PEERS=1" in RUN.read_text(encoding="utf-8")
