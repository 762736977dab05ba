"""The unit for systemd, as systemd itself sees it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "pacs.service"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that is there."""
    copy = tmp_path / "pacs.service"
    program = Path(sys.executable).with_name("pacs")
    copy.write_text(UNIT.read_text().replace("/opt/pacs/bin/pacs", str(program)))
    return copy


def test_systemd_understands_every_line(unit):
    result = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    said = [line for line in result.stderr.splitlines() if "pacs.service" in line]
    assert (result.returncode, said) == (0, [])


def test_nothing_is_allowed_that_it_does_not_need(unit):
    result = analyze("security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert result.returncode == 0, result.stdout
    (level,) = re.findall(r"Overall exposure level for .*: ([0-9.]+)", result.stdout)
    assert float(level) <= 2.0


def test_a_misspelt_line_is_found(unit):
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHom=yes"))
    said = analyze("verify", "--man=no", "--recursive-errors=no", unit).stderr
    assert "'ProtectHom'" in said
