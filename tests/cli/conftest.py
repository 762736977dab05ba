"""A node in a process of its own, and `pacs` run in this one or in another."""

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from attrs import frozen

from pacs_core.cli.main import main
from pacs_core.dataset import read_file_meta
from pacs_core.testing.processes import restore_sigint

READY = re.compile(r"ready: dicom://([^@]+)@(\S+):(\d+) \((.+)\)\n")


@frozen
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@frozen
class Server:
    """A `pacs serve` that listens."""

    process: subprocess.Popen[str]
    line: str

    @property
    def port(self) -> int:
        match = READY.fullmatch(self.line)
        assert match
        return int(match[3])

    @property
    def peer(self) -> str:
        return f"PACS@127.0.0.1:{self.port}"

    def stop(self, number: int = signal.SIGTERM) -> Result:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return Result(self.process.returncode, out, err)


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pacs_core.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=restore_sigint,
    )


WITHOUT_WEB = Path(__file__).with_name("without_web.toml")


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Server]:
    if "--config" not in arguments:  # nodes in parallel would want the same port
        environment = {"PACS_CONFIG": str(WITHOUT_WEB), **environment}
    process = start(["serve", "--port", "0", *arguments], **environment)
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.communicate()[1])
        yield Server(process, line)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def serve() -> Callable[..., object]:
    """Start a node for the length of a `with` block."""
    return serving


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `pacs` with arguments in a process of its own."""
    processes = []

    def spawn_one(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        processes.append(start(list(arguments), **environment))
        return processes[-1]

    yield spawn_one
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def spawn_once() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `pacs` in a process of its own, to the end."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pacs_core.cli.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A node that the tests of a module share."""
    data = tmp_path_factory.mktemp("node")
    with serving("--data", str(data)) as server:
        yield server


@pytest.fixture
def pacs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    """Run `pacs` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACS_CONFIG", raising=False)
    root = logging.getLogger()
    level, handlers, raising = root.level, root.handlers[:], logging.raiseExceptions

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    yield run
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.raiseExceptions = raising


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of DICOM files that pydicom ships."""
    spec = find_spec("pydicom")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / "test_files"


@pytest.fixture
def copies(samples: Path, tmp_path: Path) -> list[Path]:
    """Five CT instances."""
    content = (samples / "CT_small.dcm").read_bytes()
    uid = b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    files = [tmp_path / f"{number}.dcm" for number in range(5)]
    for number, file in enumerate(files):
        file.write_bytes(content.replace(uid, uid[:-1] + b"%d" % number))
    return files


@pytest.fixture(scope="session")
def dataset_of() -> Callable[[Path], bytes]:
    """Read a Part 10 file without its file meta information."""

    def read(path: Path) -> bytes:
        content = path.read_bytes()
        return content[read_file_meta(content).dataset_offset :]

    return read


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], str]:
    """Make a distribution with one plugin; return the folder to put on PYTHONPATH."""

    def make(name: str, source: str) -> str:
        site = tmp_path / "site"
        module = f"{name.replace('-', '_')}_of_cli_tests"
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[pacs_core.plugins]\n{name} = {module}\n")
        return str(site)

    return make
