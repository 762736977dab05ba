"""Nodes to be killed, many of them, at little cost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from pacs_core.contracts import Peer
from pacs_core.testing.node import Tables, write_config


@frozen
class Victim:
    """A node's process, which is to be killed.

    Attributes
    ----------
    pid : int
    peer : Peer
        The node as its peers see it.
    """

    pid: int
    peer: Peer

    def kill(self) -> None:
        """Kill it: SIGKILL, no chance to clean up."""
        os.kill(self.pid, signal.SIGKILL)


_CRADLE = """
import os, sys
from pathlib import Path
import anyio
from pacs_core.app import assemble, run_node
from pacs_core.concurrency.event_loops import loop_options
from pacs_core.config import load_config

async def serve(assembly):
    async with run_node(assembly) as node:
        print(os.getpid(), node.port, flush=True)
        await anyio.sleep_forever()

assembly = assemble(load_config(Path(sys.argv[1])))
for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        anyio.run(serve, assembly, backend_options=loop_options())
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""


@contextmanager
def cradle(data_directory: Path, tables: Tables | None = None) -> Iterator[Callable[[], Victim]]:
    """Give a function that starts a node, once the one before was killed.

    Nodes are forked from a process that has imported everything, so that a test can kill many.
    """
    config = write_config(data_directory, tables or {})
    command = [sys.executable, "-c", _CRADLE, str(config)]
    with subprocess.Popen(  # noqa: S603 our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,  # so that the last node ends with it
    ) as process:
        begun: list[int] = []

        def begin() -> Victim:
            assert process.stdin is not None
            assert process.stdout is not None
            if begun:
                assert process.stdout.readline() == "dead\n"
            process.stdin.write("\n")
            pid, port = map(int, process.stdout.readline().split())
            begun.append(pid)
            return Victim(pid, Peer("PACS", "127.0.0.1", port))

        try:
            yield begin
        finally:
            os.killpg(process.pid, signal.SIGKILL)
