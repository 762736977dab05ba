"""Processes of ``pacs`` that tests start, forked from one that has imported everything before.

``pytest -p pacs_core.testing.forked_starts`` (see `.ci/run`): what a node imports takes most of the
processor time of its start, and tests start many. Without this option each is a program of its own.
"""

# How it works
#
# In each process of pytest, `subprocess.Popen` asks a server instead of the kernel for a program
# that is `python -m pacs_core.cli.main ...`; Popen itself, with its pipes and its waiting, stays.
# The server is a process that has imported the modules of nodes and has run nothing of them: it
# has no thread and no event loop. For each request it forks twice, and the one between ends at
# once, so that what remains is inherited by the process of pytest, which for that moment is a
# "subreaper" (prctl(2)). It is a child like any other, then: with a number, signals, limits, files
# and an exit code of its own; it dies with the process of pytest. It takes over arguments,
# environment, folder and standard streams, and goes on as `python -m` does.
#
# What depends on the interpreter's start is none of this: another program, options of Python,
# variables that Python or a library reads at once, `preexec_fn`, further files that are inherited,
# another user. Such a process is started truly, and so is what a test marks with `true_start`,
# because it looks at the start, or at what /proc says of a process: memory, command line.

import atexit
import ctypes
import gc
import inspect
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Final

import pytest

from pacs_core.testing.processes import restore_sigint

MODULES: Final = frozenset({"pacs_core.cli", "pacs_core.cli.main"})
_GROUP: Final = "pacs_core.plugins"
_NOT_IN_NODES: Final = {"numpy", "PIL", "pydicom", "scipy", "nibabel", "pytest"}
"""What only commands and processes of codecs import: neither it nor what needs it is preloaded."""
_ALSO: Final = (
    "anyio._core._signals", "encodings.idna", "pacs_speedups",
    "sqlalchemy.dialects.sqlite.pysqlite", "uvicorn.lifespan.off",
)  # fmt: skip
"""What libraries import when a node runs."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_READ_AT_START: Final = ("PYTHON", "LD_", "MALLOC_", "OPENSSL_", "OPENBLAS_", "OMP_")
_UNBUFFERED: Final = "PYTHONUNBUFFERED"
_PATH: Final = "PYTHONPATH"
_USUAL: Final[Mapping[str, object]] = {
    "executable": None, "pass_fds": (), "close_fds": True, "shell": False, "restore_signals": True,
    "gid": None, "gids": None, "uid": None, "umask": -1, "process_group": -1,
}  # fmt: skip
"""Arguments of Popen that a forked process has, too."""

_execute_truly: Final = subprocess.Popen._execute_child  # type: ignore[attr-defined]
_environment: Final = dict(os.environ)
"""In which the server begins: what tests put into theirs comes later."""
_signature: Final = inspect.signature(_execute_truly)


class _Server:
    """The end of the server that the process of pytest has."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env={name: value for name, value in _environment.items() if name != _PATH},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        if not self.channel.recv(16):
            raise RuntimeError("the server that forks processes of tests did not begin")
        atexit.register(self.close)

    def fork(self, request: Mapping[str, object], streams: list[int]) -> int:
        """Return the number of a new process, which is a child of this one."""
        prctl = ctypes.CDLL(None).prctl
        with self.lock:
            prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self.channel, [json.dumps(request).encode()], streams)
                return int(self.channel.recv(16))
            finally:
                prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def close(self) -> None:
        """Let the server end."""
        self.channel.close()
        self.process.wait()


_server: _Server | None = None
_true_starts = False


def _execute(self: "subprocess.Popen[Any]", *args: Any, **kwargs: Any) -> None:
    """Begin the process of a Popen, instead of ``Popen._execute_child``."""
    given = _signature.bind(self, *args, **kwargs).arguments
    request = None if _true_starts else _request(given)
    if request is None:
        _execute_truly(self, *args, **kwargs)
        return
    global _server
    _server = _server or _Server()
    pipes = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
    streams = [number if pipe == -1 else pipe for number, pipe in enumerate(pipes)]
    self.pid = _server.fork(request, streams)
    self._child_created = True  # type: ignore[attr-defined]
    names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    self._close_pipe_fds(*(given[name] for name in names))  # type: ignore[attr-defined]


def _request(given: Mapping[str, Any]) -> dict[str, object] | None:
    """Return what to ask the server for, if a forked process is as good as a program."""
    args = given["args"]
    words = [os.fspath(args)] if isinstance(args, str | os.PathLike) else [*map(os.fspath, args)]
    if words[0] != sys.executable or words[1:2] not in (["-m"], ["-um"]):
        return None
    if words[2] not in MODULES or any(given[name] != usual for name, usual in _USUAL.items()):
        return None
    if given["preexec_fn"] not in (None, restore_sigint):
        return None
    environment = dict(os.environ if given["env"] is None else given["env"])
    if _interpreter_variables(environment) != _interpreter_variables(_environment):
        return None
    if words[1] == "-um":
        environment[_UNBUFFERED] = "1"
    return {
        "words": words[2:],
        "environment": environment,
        "folder": os.path.abspath(given["cwd"] or os.curdir),
        "new_session": given["start_new_session"],
        "parent": os.getpid(),
    }


def _interpreter_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name not in {_UNBUFFERED, _PATH}
    }


def pytest_configure() -> None:
    """Let processes be forked from now on."""
    if sys.platform == "linux":
        subprocess.Popen._execute_child = _execute  # type: ignore[attr-defined]


def pytest_unconfigure() -> None:
    """Let them be started truly again."""
    subprocess.Popen._execute_child = _execute_truly  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Start what the marked tests start truly."""
    global _true_starts
    _true_starts = item.get_closest_marker("true_start") is not None
    return (yield)


class _Refusal:
    """A finder of modules that finds some of them missing."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in _NOT_IN_NODES:
            raise ModuleNotFoundError(f"{name} is not preloaded", name=name)


def _preload() -> None:
    """Import the modules of nodes."""
    from importlib_metadata import entry_points

    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    plugins = {point.module.partition(".")[0] for point in entry_points(group=_GROUP)}
    for package in ["anyio._backends", "uvloop", "email", "pacs_core", *sorted(plugins)]:
        path = import_module(package).__path__
        for module in walk_packages(path, f"{package}.", onerror=lambda _: None):
            if ".testing" not in module.name and not module.name.endswith("__main__"):
                with suppress(Exception):
                    import_module(module.name)
    for name in _ALSO:
        with suppress(ImportError):
            import_module(name)
    sys.meta_path.remove(refusal)
    sys.modules.pop("pacs_core.cli.main", None)  # the process is to run it as __main__


def _serve(channel: socket.socket) -> list[str]:
    """Fork as often as asked; return, in a forked process only, the module and its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # is for pytest, and for whom it is sent to
    channel.send(b"ready")
    while True:
        message, streams, _, _ = socket.recv_fds(channel, 1 << 20, 3)
        if not message:
            os._exit(0)
        ours, theirs = os.pipe()
        between = os.fork()
        if not between:
            between = os.getpid()
            number = os.fork()
            if not number:
                os.close(ours)
                os.close(theirs)
                channel.close()
                return _become(json.loads(message), streams, between)
            os.write(theirs, b"%d" % number)
            os._exit(0)
        os.waitpid(between, 0)  # from now on, it is a child of who asks
        channel.send(os.read(ours, 16))
        os.close(ours)
        os.close(theirs)
        for stream in streams:
            os.close(stream)


def _become(request: Mapping[str, Any], streams: list[int], between: int) -> list[str]:
    """Take over what a program would have been started with, once who was between is gone."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if request["new_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    for output in (sys.stdout, sys.stderr):
        assert isinstance(output, io.TextIOWrapper)
        output.reconfigure(
            line_buffering=output is sys.stderr or output.isatty(),
            write_through=_UNBUFFERED in os.environ,
        )
    further = os.environ.get(_PATH)
    folders = map(os.path.abspath, further.split(os.pathsep) if further else ())
    sys.path[:1] = [request["folder"], *folders]
    while os.getppid() == between:
        time.sleep(0.0005)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != request["parent"]:  # it was killed meanwhile
        os._exit(1)
    words: list[str] = request["words"]
    return words


def _end(code: int) -> None:
    """End as the interpreter does, but for the modules, which it would take apart one by one."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


if __name__ == "__main__":
    _preload()
    gc.collect()
    gc.freeze()
    module, *sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        if isinstance(ending.code, int):
            _end(ending.code)
        raise
