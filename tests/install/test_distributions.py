"""What a release consists of, and what a clone installs."""

import hashlib
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each takes minutes where nothing is cached, or much else runs.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
BUILD = ROOT / "scripts" / "build_distributions.py"


def test_distributions_are_complete_licensed_and_built_alike_again(tmp_path):
    folder, again = tmp_path / "distributions", tmp_path / "again"
    built = subprocess.run([sys.executable, BUILD, folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)

    bill = json.loads((folder / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {each["name"] for each in bill["components"]}
    assert {"pacs-sop-storage", "pydicom", "uvloop", "imagecodecs"} <= components
    assert not components & {"pytest", "mypy", "ruff"}

    # From the sources this time, not from source distributions: nothing is missing in these.
    epoch = _run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()
    build = ["uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", again, ROOT]
    subprocess.run(build, env=_environment() | {"SOURCE_DATE_EPOCH": epoch}, check=True)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in place.glob("*.whl")}
        for place in (folder, again)
    ]
    assert len(digests[0]) > 30
    # What a compiler makes names the folder in which it worked.
    for each in digests:
        each.pop(next(name for name in each if name.startswith("pacs_speedups-")))
    assert digests[0] == digests[1]


def test_serving_from_a_clone_installs_no_development_tools(tmp_path):
    clone = tmp_path / "clone"
    _run("git", "clone", "--quiet", ROOT, clone)
    shutil.copy(ROOT / "pyproject.toml", clone)
    command = ["uv", "run", "--quiet", "pacs", "serve", "--port", "0"]
    node = subprocess.Popen(
        command, cwd=clone, env=_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(node.stdout, selectors.EVENT_READ)
            line = node.stdout.readline() if selector.select(1500) else ""
        assert re.match(r"ready: dicom://PACS@127\.0\.0\.1:\d+ \(\d\d plugins", line)
    finally:
        node.terminate()
        node.communicate(timeout=60)
    programs = {path.name for path in (clone / ".venv" / "bin").iterdir()}
    assert "pacs" in programs
    assert not programs & {"pytest", "ruff", "mypy", "lint-imports", "twine", "moto_server"}


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _environment():
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
