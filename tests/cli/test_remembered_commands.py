"""The commands of plugins are remembered for the help, for as long as they are the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve, frozen

PROGRAM = """
import sys
from pacs_core.cli.main import main
code = main(sys.argv[1:])
print("pacs_core.plugins" in sys.modules)
sys.exit(code)
"""
GREETER = """
from pacs_core.contracts import CliCommandDescriptor
from pacs_core.plugins import hookimpl

@hookimpl
def pacs_cli_commands():
    return [
        CliCommandDescriptor("greet", "Greet somebody.", lambda: print),
        CliCommandDescriptor("index greet", "Greet the index.", lambda: print),
    ]
"""


@frozen
class Help:
    """What `pacs` printed, and whether plugins were imported for it."""

    out: str
    err: str
    asked: bool


@frozen
class Runner:
    """Runs `pacs` in processes of their own that share what is remembered."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> Help:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        *lines, asked = done.stdout.splitlines()
        return Help("\n".join(lines), done.stderr, asked == "True")


@pytest.fixture
def run(tmp_path: Path, plugin: Callable[[str, str], str]) -> Runner:
    site = plugin("greeter", GREETER)
    cache = str(tmp_path / "cache")
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": site}
    environment.pop("PACS_CONFIG", None)
    return Runner(tmp_path, environment)


def test_the_help_is_the_same_without_plugins(run: Runner, tmp_path: Path) -> None:
    first, second = run("--help"), run("--help")
    assert (first.asked, second.asked) == (True, False)
    assert second.out == first.out
    assert "Greet somebody." in first.out
    for line in (["index", "--help"], ["help", "index"]):
        found = run(*line)
        assert "Greet the index." in found.out, line
        assert not found.asked, line
    (file,) = (tmp_path / "cache" / "pacs").iterdir()
    kept = json.loads(file.read_text())
    for spoilt in ([], {**kept, "state": "other", "value": [[["greet"], "Greet nobody."]]}):
        file.write_text(json.dumps(spoilt))
        assert run("--help") == first


def test_a_script_of_completion_is_the_same_without_plugins(run: Runner, tmp_path: Path) -> None:
    first, second = run("completion", "bash"), run("completion", "bash")
    assert (first.asked, second.asked) == (True, False)
    assert second.out == first.out
    assert "greet" in first.out
    (tmp_path / "site" / "greeter_of_cli_tests.py").write_text(GREETER.replace('"greet"', '"bow"'))
    third = run("completion", "bash")
    assert third.asked
    assert "bow" in third.out


def test_what_changes_is_seen(run: Runner, tmp_path: Path) -> None:
    run("--help")
    module = tmp_path / "site" / "greeter_of_cli_tests.py"
    module.write_text(GREETER.replace("Greet somebody.", "Greet everybody."))
    assert "Greet everybody." in run("--help").out
    assert not run("--help").asked
    (tmp_path / "pacs.toml").write_text('[plugins]\ndisabled = ["greeter"]\n')
    assert "Greet everybody." not in run("--help").out
    without = evolve(run, environment={**run.environment, "PYTHONPATH": ""})
    assert "Greet everybody." not in without("--help").out


def test_a_broken_plugin_says_so_each_time(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "site" / "greeter_of_cli_tests.py").write_text("raise RuntimeError('not today')")
    for _ in range(2):
        found = run("--help")
        assert "not today" in found.err
        assert found.asked
    assert not list((tmp_path / "cache").rglob("*"))


def test_it_works_where_nothing_can_be_kept(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, and no folder")
    assert "Greet somebody." in run("--help").out
