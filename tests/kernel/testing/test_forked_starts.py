"""Processes that are forked from one that has imported all are like those that are started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pacs_core.testing import forked_starts
from pacs_core.testing.node import node_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="by prctl(2)")
MAIN = [sys.executable, "-m", "pacs_core.cli.main"]


@pytest.fixture
def forks(monkeypatch):
    """Fork what can be, whether or not this run does so anyway; or do not."""

    def switch(on):
        monkeypatch.setattr(forked_starts, "_true_starts", not on)

    monkeypatch.setattr(subprocess.Popen, "_execute_child", forked_starts._execute)
    switch(True)
    return switch


def command_line(process):
    return Path(f"/proc/{process.pid}/cmdline").read_bytes()


def is_forked(process):
    return b"forked_starts" in command_line(process)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["plugins"],
        ["plugins", "--json"],
        ["config", "show"],
        ["dump", "nowhere.dcm"],
        ["dump", "odd.dcm"],
        ["dump", "-"],
        ["no-such-command"],
        ["serve", "--config", "nowhere.toml"],
        ["uid", "--help"],
    ],
    ids=" ".join,
)
def test_commands_say_and_return_the_same(forks, tmp_path, words):
    (tmp_path / "odd.dcm").write_bytes(b"no DICOM")
    (tmp_path / "pacs.toml").write_text("[node]\nae_title = 'SAME'\n")
    environment = {**os.environ, "PACS_CONFIG": "pacs.toml", "COLUMNS": "70"}
    results = []
    for on in (True, False):
        forks(on)
        result = subprocess.run(
            [*MAIN, *words], cwd=tmp_path, env=environment, capture_output=True, input=b"abc"
        )
        results.append((result.returncode, result.stdout, result.stderr))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)]
)
def test_a_node_is_a_process_of_its_own(forks, tmp_path, number, code):
    with node_process(tmp_path / "one") as one, node_process(tmp_path / "two") as two:
        for node in (one, two):
            assert is_forked(node.process)
            status = Path(f"/proc/{node.process.pid}/status").read_text()
            assert f"PPid:\t{os.getpid()}\n" in status
        one.process.send_signal(number)
        assert one.process.wait(60) == code
        assert two.process.poll() is None
    assert two.process.returncode == -9


def test_plugins_on_a_path_of_its_own_are_found(forks, tmp_path):
    """PYTHONPATH may lead to plugins that the process of the tests has not."""
    info = tmp_path / "site" / "greeter-1.2.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "greeter.py").write_text("import sys\nprint(*sys.path, sep='\\n')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[pacs_core.plugins]\ngreeter = greeter\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}other"}
    said = []
    for on in (True, False):
        forks(on)
        command = [*MAIN, "plugins"]
        said.append(subprocess.check_output(command, cwd=tmp_path, env=environment, text=True))
    assert said[0] == said[1]
    assert said[0].startswith(f"{tmp_path}\n{tmp_path / 'site'}\n{tmp_path / 'other'}\n")
    assert any({"greeter", "1.2"} <= {*line.split()} for line in said[0].splitlines())


def test_a_session_of_its_own(forks, tmp_path):
    command = [*MAIN, "dump", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert is_forked(process)
        while os.getsid(process.pid) != process.pid:
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -9


@pytest.mark.parametrize(
    "options",
    [
        {"env": {**os.environ, "PYTHONDEVMODE": "1"}},
        {"preexec_fn": lambda: os.nice(1)},
        {"pass_fds": [0]},
        {"umask": 0o77},
        {"process_group": 0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_only_a_program_has_is_started_truly(forks, options):
    with subprocess.Popen([*MAIN, "dump", "-"], stdin=subprocess.PIPE, **options) as process:
        assert not is_forked(process)
        process.kill()


def test_other_programs_are_started_truly(forks):
    for command in ([sys.executable, "-c", "input()"], ["sleep", "60"], "sleep 60"):
        shell = isinstance(command, str)
        with subprocess.Popen(command, stdin=subprocess.PIPE, shell=shell) as process:
            assert not is_forked(process)
            process.kill()


def test_who_asked_takes_its_processes_along(tmp_path):
    """What a process of pytest that was killed had begun ends, too."""
    program = (
        "import subprocess, sys\n"
        "from pacs_core.testing import forked_starts\n"
        "forked_starts.pytest_configure()\n"
        f"process = subprocess.Popen({[*MAIN, 'dump', '-']!r}, stdin=subprocess.PIPE)\n"
        "print(process.pid, flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        started = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
    signal.pidfd_send_signal  # noqa: B018
    with open(started) as ended:
        import select

        assert select.select([ended], [], [], 60)[0]
