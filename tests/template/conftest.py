"""A way to run a command where nothing but the wheels of the workspace is installed."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "cookiecutter"
_OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PACS_CONFIG", "UV_PROJECT_ENVIRONMENT")


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment of a command that is to see nothing of this one's packages."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS and not name.startswith("PYTEST_")
    }
    return {**inherited, **more}


@pytest.fixture
def clean_options(wheel_folder: Path) -> dict[str, Any]:
    """Options for subprocesses that find our wheels, and nothing that is installed here."""
    # What mypy makes of our distributions and their libraries is the same for each project, and
    # for each worker.
    checked = wheel_folder.parent / "mypy"
    variables = {"UV_FIND_LINKS": str(wheel_folder), "MYPY_CACHE_DIR": str(checked)}
    return {"env": clean_environment(**variables), "text": True}


@pytest.fixture
def run_clean(clean_options: dict[str, Any]) -> Callable[..., str]:
    """Return a function that runs a command with the wheels at hand, and returns what it prints."""

    def run(directory: Path, *command: str | Path) -> str:
        finished = subprocess.run(command, cwd=directory, capture_output=True, **clean_options)
        printed = finished.stdout + finished.stderr
        assert finished.returncode == 0, printed
        return str(printed)

    return run


@pytest.fixture
def render(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Return a function that makes a project, and touches nothing of the user's."""
    settings = tmp_path_factory.mktemp("cookiecutter") / "config.yaml"
    monkeypatch.setattr(tempfile, "tempdir", str(settings.parent))  # hooks are left behind there
    settings.write_text(f"replay_dir: {settings.parent}\n")

    def make(kind: str, **answers: str) -> Path:
        usual = {"name": f"acme-{kind}", "author": "Jane Doe", "kind": kind}
        made = cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context={**usual, **answers},
            output_dir=str(tmp_path),
            config_file=str(settings),
        )
        return Path(made)

    return make


@pytest.fixture(scope="session")
def kinds() -> list[str]:
    """Return the kinds of plugin that the template makes."""
    answers = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    return list(answers["kind"])
