"""`pacs --version` answers before anything that takes long is imported."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from pacs_core.cli.main import main

HEAVY = ["pydicom", "rich", "cyclopts", "anyio", "attrs", "attr", "asyncio", "pluggy", "cattrs"]
PROGRAM = """
import sys
from pacs_core.cli.main import main
assert main([sys.argv[1]]) == 0
print(*sys.modules)
"""


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_imports_only_what_it_prints(flag: str) -> None:
    command = [sys.executable, "-c", PROGRAM, flag]
    answer, modules = subprocess.check_output(command, text=True).splitlines()
    assert answer == f"pacs {version('pacs-core')}"
    imported = set(modules.split())
    assert not imported & set(HEAVY)
    own = {name for name in imported if name.startswith("pacs_core")}
    assert own == {"pacs_core", "pacs_core.cli", "pacs_core.cli.main"}


OF_PLUGINS = {"sqlalchemy", "alembic", "httpx", "argon2", "joserfc", "numpy", "PIL", "starlette"}
PROGRAM_FOR_HELP = """
import sys
from pacs_core.cli.main import main
main(["--help"])
print(*sys.modules)
"""


def test_help_imports_nothing_heavy_of_plugins() -> None:
    """All plugins of this environment are loaded to be listed: their entry points are cheap."""
    command = [sys.executable, "-c", PROGRAM_FOR_HELP]
    environment = {**os.environ, "XDG_CACHE_HOME": os.devnull}  # nothing is remembered
    output = subprocess.check_output(command, text=True, env=environment)
    modules = output.splitlines()[-1].split()
    assert not OF_PLUGINS & set(modules)


def test_the_package_can_be_run() -> None:
    command = [sys.executable, "-m", "pacs_core.cli", "--version"]
    assert subprocess.check_output(command, text=True).startswith("pacs ")


def test_version_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pacs {version('pacs-core')}\n"
