"""Wheels of all distributions, and environments that hold nothing but what is installed."""

import os
import re
import selectors
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # pip installs a whole archive from a package index, on a busy machine


def uv(*arguments):
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not there to build wheels and environments; pip install uv")
    # This process has an environment of its own, which must not show through.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    command = [program, *map(str, arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def wheels(wheel_folder):
    """Wheels by distribution."""
    return {path.name.split("-")[0].replace("_", "-"): path for path in wheel_folder.glob("*.whl")}


@frozen
class Environment:
    """A virtual environment."""

    directory: Path

    def program(self, name):
        return self.directory / "bin" / name

    def run(self, name, *arguments, code=0):
        """Run a program of the environment; return what it writes to standard output."""
        command = [self.program(name), *map(str, arguments)]
        result = subprocess.run(
            command,
            cwd=self.directory,
            env={"PATH": os.defpath, "HOME": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert result.returncode == code, result.stderr
        return result.stdout

    @contextmanager
    def serve(self, *arguments):
        """Run ``pacs serve`` until the end of the block, which gets the port."""
        process = subprocess.Popen(
            [self.program("pacs"), "serve", *map(str, arguments)],
            cwd=self.directory,
            env={"PATH": os.defpath, "HOME": str(self.directory)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if selector.select(PATIENCE) else ""
            ready = re.match(r"ready: dicom://PACS@127\.0\.0\.1:(\d+)", line)
            if ready is None:
                process.kill()
            assert ready, (line, process.communicate()[1])
            yield int(ready[1])
            process.terminate()
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors, errors
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def environment(wheels, tmp_path):
    """Return a function that makes an environment with some of the distributions."""

    def environment(*names):
        directory = tmp_path / "environment"
        uv("venv", "--quiet", "--python", sys.executable, directory)
        constraints = ("--constraint", ROOT / "constraints.txt")
        python = ("--python", directory / "bin" / "python")
        uv("pip", "install", "--quiet", *python, *constraints, *[wheels.get(n, n) for n in names])
        return Environment(directory)

    return environment


@pytest.fixture
def uncompiled_speedups(tmp_path, monkeypatch):
    """A wheel of pacs-speedups that was built where there is no compiler."""
    project, programs = tmp_path / "pacs-speedups", tmp_path / "programs"
    left_out = shutil.ignore_patterns("build", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "plugins" / "pacs-speedups", project, ignore=left_out)
    monkeypatch.setenv("CC", str(programs / "no-compiler"))
    uv("build", "--wheel", "--quiet", "--out-dir", programs, "--python", sys.executable, project)
    (wheel,) = programs.glob("*.whl")
    return wheel
