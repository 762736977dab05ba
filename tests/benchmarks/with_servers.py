"""Contestants with servers of their own beside them: a bucket, or nodes behind a balancer.

``python -m tests.benchmarks.with_servers s3 PORT COMMAND...``
``python -m tests.benchmarks.with_servers nodes DIRECTORY PORT CONFIG...``

Nodes are pinned to the last processor, all else of theirs to the first: so three of them have what
one has. What that measures is what sharing an index costs, and not what more machines bring.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from pacs_core.testing.cloud_servers import BUCKET, run_s3
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.postgresql import PostgresqlServer

from .contestant import Command
from .with_postgresql import Configure

_PATIENCE = 60.0


def with_s3(command: Command, more: str = "") -> Command:
    """Return a command that runs another beside an S3 server (moto), in which its objects are.

    `more` is what the table of the store has besides.
    """

    def start(directory: Path, port: int, move_port: int) -> Sequence[str]:
        s3 = find_free_port()
        program = command(directory, port, move_port)
        config = directory / "pacs.toml"
        text = config.read_text().replace("[archive]", '[archive]\nstore = "bucket"')
        (directory / "key").write_text("testing")
        key = f'{{ file = "{directory / "key"}" }}'
        config.write_text(
            f'{text}[stores.bucket]\ntype = "s3"\nbucket = "{BUCKET}"\nallow_http = true\n'
            f'endpoint = "http://127.0.0.1:{s3}"\naccess_key_id = {key}\n'
            f"secret_access_key = {key}\n{more}"
        )
        return [sys.executable, "-m", __name__, "s3", str(s3), *program]

    return start


def with_nodes(command: Command, configure: Configure, count: int) -> Command:
    """Return a command that runs some nodes with one PostgreSQL and one folder behind HAProxy."""

    def start(directory: Path, port: int, move_port: int) -> Sequence[str]:
        server = Path(tempfile.mkdtemp(prefix="pg-"))
        configs = []
        for number in range(count):
            node = directory / f"node{number}"
            node.mkdir()
            command(node, find_free_port(), move_port)
            configure(node, server)
            config = node / "pacs.toml"
            objects = f'[plugin.store-filesystem]\nroot = "{directory / "objects"}"\n'
            config.write_text(config.read_text() + objects)
            configs.append(str(config))
        return [sys.executable, "-m", __name__, "nodes", str(server), str(port), *configs]

    return start


def haproxy() -> str | None:
    """Return the path of HAProxy."""
    return shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/bin")


def _main(kind: str, *arguments: str) -> int:
    with ExitStack() as stack:
        if kind == "s3":
            stack.enter_context(run_s3(int(arguments[0])))
            process = stack.enter_context(_running(arguments[1:]))
        else:
            process = stack.enter_context(
                _nodes(Path(arguments[0]), int(arguments[1]), *arguments[2:])
            )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.terminate())
        return process.wait()


@contextmanager
def _nodes(directory: Path, port: int, *configs: str) -> Iterator["subprocess.Popen[bytes]"]:
    first, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    server = PostgresqlServer.make(directory, "-c fsync=on")
    with ExitStack() as stack:
        server.start()
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.callback(server.end)
        ports = [_port_in(Path(config)) for config in configs]
        for config, each in zip(configs, ports, strict=True):
            program = [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", config]
            stack.enter_context(_running(program, lambda: os.sched_setaffinity(0, {last})))
            _await(each)
        nodes = "".join(f"    server n{p} 127.0.0.1:{p} check inter 1s\n" for p in ports)
        balancer = Path(configs[0]).parent / "haproxy.cfg"
        balancer.write_text(
            "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 120s\n"
            f"    timeout server 120s\nlisten dicom\n    bind 127.0.0.1:{port}\n"
            f"    balance leastconn\n{nodes}"
        )
        program = [haproxy() or "haproxy", "-f", str(balancer), "-db"]
        yield stack.enter_context(_running(program))


@contextmanager
def _running(
    program: Sequence[str], before: Callable[[], None] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(program, preexec_fn=before)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait()


def _port_in(config: Path) -> int:
    line = next(line for line in config.read_text().splitlines() if line.startswith("port = "))
    return int(line.removeprefix("port = "))


def _await(port: int) -> None:
    end = monotonic() + _PATIENCE
    while monotonic() < end:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.02)
    raise TimeoutError(f"nobody listens on {port}")


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
