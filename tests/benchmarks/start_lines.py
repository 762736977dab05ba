"""A line for each command for files, and what it is run on: for how long it takes to begin.

A command has begun when it opens the first file below `in`, which is what it works on: a key, a
vault or a configuration is none. Of a command for the network it is the first connection that it
tries, or the first socket that it binds; of others, such as ``pacs uid``, the end.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Final

from attrs import frozen


@frozen
class Line:
    """A command line, in words with places for folders: `{i}`, `{k}` (keys), `{o}` (to be made).

    Attributes
    ----------
    text : str
    begins : str
        What shows that it has begun: "file", "peer" (it connects), "bind", or "end".
    ends : bool
        Whether it ends by itself.
    """

    text: str
    begins: str = "file"
    ends: bool = True

    def words(self, folder: Path, port: str = "PORT") -> list[str]:
        """Return the words for a folder that `write_files` has filled."""
        places = {"i": folder / "i", "k": folder / "k", "o": folder / f"o-{token_hex(8)}"}
        return [word.format(port=port, **places) for word in self.text.split()]


_PEER: Final = "ANY@127.0.0.1:{port}"
LINES: Final[Mapping[str, Line]] = {
    "bench": Line(f"bench {_PEER}", "peer"),
    "convert": Line("convert -t implicit {i}/ct {o}"),
    "deidentify": Line("deidentify {i}/ct {o}"),
    "dicomdir create": Line("dicomdir create {i}/ct --output {o}"),
    "dicomdir show": Line("dicomdir show {i}/media"),
    "dicomdir update": Line("dicomdir update {i}/media"),
    "diff": Line("diff {i}/ct {i}/copy"),
    "dump": Line("dump {i}/ct"),
    "echo": Line(f"echo {_PEER}", "peer"),
    "explain": Line(f"explain {_PEER} {{i}}/ct"),
    "extract": Line("extract {i}/ct --output {o}.png"),
    "find": Line(f"find {_PEER} -k PatientName=A", "peer"),
    "find-files": Line("find-files {i}/ct"),
    "from-cda": Line("from-cda {i}/a.xml {o}"),
    "from-image": Line("from-image {i}/a.png {o}"),
    "from-pdf": Line("from-pdf {i}/a.pdf {o}"),
    "from-stl": Line("from-stl {i}/a.stl {o}"),
    "from-video": Line("from-video {i}/a.mp4 {o}"),
    "get": Line(f"get {_PEER} -k StudyInstanceUID=1.2 --output {{o}}", "peer"),
    "info": Line("info {i}/ct"),
    "json": Line("json {i}/ct"),
    "listen": Line("listen --port 0 --output {o}", "bind", ends=False),
    "merge-patient": Line("merge-patient {i}/ct --from 1CT1 --into 4MR1 --like {i}/mr -o {o}"),
    "modify": Line("modify {i}/ct --set PatientID=1 --output {o}"),
    "move": Line(f"move {_PEER} --to OTHER -k StudyInstanceUID=1.2", "peer"),
    "ping": Line(f"ping {_PEER}", "peer"),
    "reidentify": Line("reidentify {i}/anonymous {o} --vault {k}/vault --key-file {k}/secret"),
    "seg from-masks": Line("seg from-masks {i}/a.nii --like {i}/slices -o {o}"),
    "seg to-nifti": Line("seg to-nifti {i}/seg -o {o}"),
    "sign": Line("sign {i}/ct -o {o} --private-key {k}/key --certificate {k}/certificate"),
    "split": Line("split {i}/frames -o {o}"),
    "sr": Line("sr {i}/report"),
    "store": Line(f"store {_PEER} {{i}}/ct"),
    "to-document": Line("to-document {i}/document {o}"),
    "to-stream": Line("to-stream {i}/compressed {o}"),
    "uid": Line("uid", "end"),
    "validate": Line("validate {i}/ct"),
    "verify": Line("verify {i}/signed --any-signer"),
    "xml": Line("xml {i}/ct"),
    "help": Line("help", "end"),
    "completion": Line("completion bash", "end"),
}  # fmt: skip


PROBE: Final = """
import os, sys, time
begins, below, *words = sys.argv[1:]
listener = None
if any("PORT" in each for each in words):
    # Of a loop in C nothing is audited: the connection itself is waited for.
    import _socket, _thread

    listener = _socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    words = [each.replace("PORT", str(listener.getsockname()[1])) for each in words]

def tell():
    now = time.monotonic(), time.process_time()
    sys.stderr.flush()
    os.write(1, " ".join(["\\nBEGUN", *map(str, now), *sys.modules]).encode())
    os._exit(0)

def look(event, arguments):
    if event == "open":
        opened = arguments[0]
        if begins == "file" and isinstance(opened, str | os.PathLike):
            if os.fspath(opened).startswith(below):
                tell()
    elif event == "socket.bind" and begins == "bind":
        tell()

def wait():
    listener._accept()
    tell()

sys.addaudithook(look)
if begins == "peer":
    _thread.start_new_thread(wait, ())
from pacs_core.cli.main import main
code = main(words)
if begins == "end" and not code:
    tell()
raise SystemExit(f"it ended with {code}, and had not begun")
"""
"""Program that tells when a command has begun, with which modules, and ends there."""


@frozen
class Beginning:
    """When a command has begun, by the clock and by the processor, and with which modules."""

    clock: float
    processor: float
    modules: frozenset[str]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command, with a memory that is in the folder."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}


def begin(line: Line, folder: Path) -> Beginning:
    """Run a command until it begins.

    Raises
    ------
    RuntimeError
        It does not.
    """
    command = [sys.executable, "-c", PROBE, line.begins, str(folder / "i"), *line.words(folder)]
    done = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=60, check=False
    )
    _, mark, told = done.stdout.rpartition("\nBEGUN ")
    if not mark:
        raise RuntimeError(f"{line.text}: {done.stderr[-2000:]}")
    clock, processor, *modules = told.split()
    return Beginning(float(clock), float(processor), frozenset(modules))
