"""A codec or renderer that somebody has taken over: no network, no files, no other program."""

import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import anyio
import pytest

from pacs_core.api.sandbox import describe_protection
from pacs_core.plugins import ENTRY_POINT_GROUP, PluginManager
from pacs_core.sandbox.landlock import landlock_version
from pacs_core.sandbox.seccomp import ARCHITECTURES, has_seccomp

pytestmark = pytest.mark.true_start

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="needs Landlock (Linux 5.13)")
needs_seccomp = pytest.mark.skipif(not has_seccomp(), reason="needs seccomp")

ATTEMPT = """
import os, socket, sys
from pathlib import Path
from pacs_core.api.sandbox import confine

opened = open(sys.argv[1])
print(confine(files=sys.argv[2] == "files"))
for name, attempt in {
    "read": lambda: Path("/etc/passwd").read_bytes(),
    "write": lambda: Path(sys.argv[1] + ".new").write_bytes(b""),
    "list": lambda: os.listdir("/"),
    "remove": lambda: os.unlink(sys.argv[1]),
    "socket": socket.socket,
    "socketpair": socket.socketpair,
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "open before": opened.read,
    "import": lambda: __import__("pydicom"),
}.items():
    try:
        attempt()
        print(name, "done")
    except OSError as error:
        print(name, type(error).__name__)
"""


def attempt(tmp_path: Path, what: str) -> dict[str, str]:
    target = tmp_path / "target"
    target.write_text("text")
    command = [sys.executable, "-c", ATTEMPT, str(target), what]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    return dict(line.rsplit(" ", 1) for line in result.stdout.splitlines()[1:])


@needs_landlock
@needs_seccomp
def test_what_a_confined_process_can_do(tmp_path):
    denied = dict.fromkeys(
        ("read", "write", "list", "remove", "socket", "socketpair", "unix", "run"),
        "PermissionError",
    )
    assert attempt(tmp_path, "files") == {**denied, "open before": "done", "import": "done"}


@needs_seccomp
def test_a_process_that_converts_files_has_no_network(tmp_path):
    found = attempt(tmp_path, "no files")
    assert {name for name, what in found.items() if what == "PermissionError"} == {
        "socket",
        "socketpair",
        "unix",
        "run",
    }


INTRUDER = """
import os, socket
from pacs_codec_basic.run_length import RunLengthCodec
from pacs_core.contracts import CodecDescriptor, CodecError
from pacs_core.plugins import hookimpl

class Intruder(RunLengthCodec):
    def encode(self, data, frame, options):
        found = []
        for attempt in (lambda: open("/etc/passwd").read(), socket.socket):
            try:
                attempt()
            except PermissionError:
                found.append("denied")
        raise CodecError(" ".join(found))

@hookimpl
def pacs_codecs():
    return [CodecDescriptor("intruder", frozenset(), frozenset({"1.2.840.10008.1.2.5"}), Intruder)]
"""


@needs_landlock
@needs_seccomp
@pytest.mark.anyio
async def test_a_codec_of_a_node_is_confined(tmp_path, monkeypatch):
    import pickle

    from pacs_core.contracts import CodecError, FrameFormat
    from pacs_core.transcoding import WorkerLimits, WorkerProcess
    from pacs_core.transcoding.workers.protocol import Job

    (tmp_path / "intruder.py").write_text(INTRUDER)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("intruder", "intruder", ENTRY_POINT_GROUP)
    PluginManager(found=[point])
    import intruder

    form = FrameFormat(8, 8, 1, 8, 8, False, "MONOCHROME2")
    worker = await anyio.to_thread.run_sync(WorkerProcess, WorkerLimits())
    try:
        with pytest.raises(CodecError, match=r"^denied denied$"):
            await worker.do(Job(form, encoder=pickle.dumps(intruder.Intruder)), bytes(64))
        status = await anyio.Path(f"/proc/{worker.pid}/status").read_text()
    finally:
        await worker.end()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_the_system_says_what_it_offers():
    text = describe_protection()
    assert ("Landlock" in text) == (sys.platform == "linux") or "limits only" in text
    if landlock_version():
        assert text.startswith("no files")


DEFINITION = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", re.MULTILINE)
"""Of the number of a call, in headers of the C library."""


@pytest.mark.parametrize(
    ("architecture", "header"),
    [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")],
)
def test_the_numbers_of_calls(architecture, header):
    """What is refused is what is meant, on either architecture.

    Those of aarch64 are the generic ones, which each Linux has in its headers.
    """
    calls = ARCHITECTURES[architecture].calls
    assert len(set(calls.values())) == len(calls)
    samples = {
        "x86_64": {"socket": 41, "execve": 59, "ptrace": 101, "bpf": 321, "io_uring_setup": 425},
        "aarch64": {"socket": 198, "execve": 221, "ptrace": 117, "bpf": 280, "io_uring_setup": 425},
    }
    assert samples[architecture].items() <= calls.items()
    path = Path("/usr/include") / header
    if path.exists():
        defined = {name: int(number) for name, number in DEFINITION.findall(path.read_text())}
        assert {name: defined[name] for name in calls} == calls
