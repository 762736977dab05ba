"""What tests of several folders share: wheels of every distribution, built once."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from .pynetdicom_pause import mend

mend()
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with a wheel of every distribution; one worker builds them for all.

    Its name is a new one each time: uv keeps what it installed from a folder's wheels, and never
    looks whether wheels of the same name and version are others by now.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    with (shared / "wheels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in shared.glob("wheels-*"):
            return folder
        unfinished = shared / "unfinished-wheels"
        memory_archive = ROOT / "tests" / "distributions" / "pacs-memory-archive"
        _build("--all-packages", "--out-dir", unfinished, ROOT)
        _build("--out-dir", unfinished, memory_archive)
        return unfinished.rename(shared / f"wheels-{uuid4()}")


def _build(*arguments: str | Path) -> None:
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not there to build wheels; pip install uv")
    # This process has an environment of its own, which must not show through.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    command = [program, "build", "--quiet", "--wheel", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
