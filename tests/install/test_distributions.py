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
    wheels = [_digests(place, "*.whl") for place in (folder, again)]
    assert len(wheels[0]) > 30
    assert wheels[0] == wheels[1]


def test_source_distributions_say_nothing_of_when_and_where_they_were_built(tmp_path):
    program = (
        "import sys; from pathlib import Path; from build_distributions import settle;"
        "settle(Path(sys.argv[1]), 1_700_000_000)"
    )
    found = []
    for name in ("one", "another"):
        sources = shutil.copytree(ROOT / "plugins" / "pacs-speedups", tmp_path / name / "sources")
        build = ["uv", "build", "--quiet", "--sdist", "--out-dir", tmp_path / name, sources]
        subprocess.run(build, env=_environment(), check=True)
        (built,) = (tmp_path / name).glob("*.tar.gz")
        command = [sys.executable, "-c", program, built]
        subprocess.run(command, cwd=BUILD.parent, check=True)
        found.append(_digests(tmp_path / name, "*.tar.gz"))
    assert found[0] == found[1]


def test_a_release_is_made_by_one_command_and_tried_beforehand(tmp_path):
    clone = tmp_path / "clone"
    _run("git", "clone", "--quiet", ROOT, clone)
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.org")):
        _run("git", "-C", clone, "config", name, value)
    release = [sys.executable, clone / "scripts" / "make_release.py"]
    wrong = subprocess.run([*release, "9.9.9"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "CHANGELOG.md has no heading '## [9.9.9] - unreleased'" in wrong.stderr
    before = _run("git", "-C", clone, "rev-parse", "HEAD")
    tried = _run(*release, "0.1.0", "--dry-run")
    assert "nothing was changed here" in tried
    assert _run("git", "-C", clone, "rev-parse", "HEAD") == before
    made = _run(*release, "0.1.0")
    assert "distributions of version 0.1.0 are built and checked" in made
    assert _run("git", "-C", clone, "tag", "--list").strip() == "v0.1.0"
    assert re.search(
        r"^## \[0\.1\.0\] - \d{4}-", (clone / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    built = {path.name for path in (clone / "dist" / "0.1.0").iterdir()}
    assert {"SHA256SUMS", "sbom.cdx.json", "pacs_core-0.1.0.tar.gz"} <= built
    again = subprocess.run([*release, "0.1.0"], capture_output=True, text=True)
    assert "v0.1.0 is a tag already" in again.stderr


def _digests(folder, pattern):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob(pattern)}


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
