"""The node under test: a process that is started, killed and started again on the same ports."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
from attrs import define, field

from pacs_core.contracts import Peer
from pacs_core.testing.node import write_config
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.processes import restore_sigint

from ..benchmarks.memory import family
from .ledger import ROUTED

START = 120.0
"""Seconds that a start may take, all recovery included."""
MIB = 1 << 20
PLUGINS = {
    "web", "dicomweb", "jobs", "database", "routing", "sop-mpps", "sop-worklist", "metrics",
    "sop-storage-commitment", "sop-storage", "sop-query-retrieve", "sop-verification",
    "store-filesystem", "index-sqlite", "index-postgresql", "audit-json", "codec-basic",
    "image-export", "speedups",
}  # fmt: skip
CLOCK = Path(__file__).with_name("clock.c")


@define
class Node:
    """``pacs serve`` with its directory.

    Attributes
    ----------
    directory : Path
    config : Path
    web : int
        Port of the web server.
    port : int
    clock : Path or None
        File by which its wall clock is moved; None where there is no C compiler.
    """

    directory: Path
    config: Path
    port: int
    web: int
    clock: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    lives: int = 0
    environment: dict[str, str] = field(factory=dict)

    @classmethod
    def make(cls, directory: Path, tables: dict[str, Any], receiver: Peer) -> "Node":
        """Write a configuration that has the receiver as its peer."""
        from importlib_metadata import entry_points

        port, web = find_free_port(), find_free_port()
        unused = entry_points(group="pacs_core.plugins").names - PLUGINS
        (directory / "data").mkdir(exist_ok=True)
        common: dict[str, Any] = {
            "node": {"port": port},
            "log": {"level": "info"},
            "network": {"timeouts": {"shutdown": 5.0, "dimse": 30.0}},
            "archive": {
                "study_quiet_time": 2.0,
                "space": {"warning": 64 * MIB, "minimum": 32 * MIB, "reserve": 4 * MIB},
            },
            "plugins": {"disabled": sorted(unused)},
            "peers": {
                "dest": {"ae_title": "DEST", "host": "127.0.0.1", "port": receiver.port},
                "ct1": {"ae_title": "CT1", "host": "127.0.0.1", "port": receiver.port},
            },
            "plugin": {
                "web": {"port": web},
                "jobs": {},
                "metrics": {},
                "sop-mpps": {},
                "sop-worklist": {},
                "sop-storage-commitment": {},
                "routing": {
                    "first_pause": 0.5,
                    "longest_pause": 5.0,
                    "rules": {"soak": {"where": {"Modality": ROUTED}, "to": ["dest"]}},
                },
            },
        }
        for name, table in tables.items():
            for key, value in table.items():
                if isinstance(value, dict) and key in common.get(name, {}):
                    common[name][key] = common[name][key] | value
                else:
                    common.setdefault(name, {})[key] = value
        config = write_config(directory / "data", common)
        (directory / "tmp").mkdir(exist_ok=True)
        environment = os.environ | {"TMPDIR": str(directory / "tmp")}
        clock, library = directory / "clock", directory / "clock.so"
        has_clock = _build_clock(library)
        if has_clock:
            set_clock(clock, 0)
            environment |= {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(clock)}
        return cls(
            directory, config, port, web, clock if has_clock else None, environment=environment
        )

    @property
    def peer(self) -> Peer:
        """The node as its peers see it."""
        return Peer("PACS", "127.0.0.1", self.port)

    @property
    def url(self) -> str:
        """URL of its DICOMweb service."""
        return f"http://127.0.0.1:{self.web}/dicom-web"

    @property
    def log(self) -> Path:
        """Its standard error, over all lives."""
        return self.directory / "node.log"

    async def start(self) -> None:
        """Start it, and wait until it is ready (``/health/ready``)."""
        command = [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", self.config]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 it outlives the block
                [str(each) for each in command],
                stdout=log,
                stderr=log,
                env=self.environment,
                preexec_fn=restore_sigint,
            )
        self.lives += 1
        deadline = time.monotonic() + START
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.web}/health/ready")
                    if answer.status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                if self.process.poll() is not None:
                    raise RuntimeError(f"the node ended with {self.process.returncode}: {self.log}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the node is not ready after {START:g} s: {self.log}")
                await anyio.sleep(0.05)

    def kill(self) -> None:
        """Kill it as a power failure would, workers and codec processes with it."""
        assert self.process is not None
        for pid in family(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    async def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        assert self.process is not None
        process = self.process
        process.send_signal(signal.SIGTERM)
        return await anyio.to_thread.run_sync(lambda: process.wait(START))

    @property
    def workers(self) -> list[int]:
        """Process ids of workers, if it has any."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = []
        for child in map(int, children):
            try:
                if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
            except OSError:
                continue
        return found

    async def pacs(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command beside it; return exit code and outputs."""
        command = [sys.executable, "-m", "pacs_core.cli.main", *arguments, "--config", self.config]
        done = await anyio.run_process([str(each) for each in command], check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


def set_clock(path: Path, seconds: int) -> None:
    """Let a clock be off by so many seconds, at once."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


def _build_clock(library: Path) -> bool:
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(CLOCK), "-ldl"]
    return not subprocess.run(command, check=False).returncode
