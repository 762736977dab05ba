"""Real nodes for tests: in a thread of the test process, or in a process of their own."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define, frozen
from importlib_metadata import EntryPoint, EntryPoints, entry_points

from pacs_core.app import RunningNode, assemble, run_node
from pacs_core.concurrency.event_loops import loop_options
from pacs_core.config import load_config, to_toml
from pacs_core.contracts import Peer
from pacs_core.plugins import ENTRY_POINT_GROUP, PluginManager, PluginPolicy
from pacs_core.testing.processes import restore_sigint

T = TypeVar("T")
Tables = Mapping[str, Mapping[str, Any]]
Plugins = Collection[str | EntryPoint]
"""Names of installed plugins, and entry points of what is not installed."""

ON_REQUEST: Mapping[str, Mapping[str, Any]] = {
    "web": {"port": 0},
    "jobs": {},
    "metrics": {},
    "tracing": {},
    "routing": {},
    "sop-mpps": {},
    "sop-ups": {},
    "sop-worklist": {},
    "sop-storage-commitment": {},
    "sop-print": {},
    "deidentify": {},
    "signatures": {},
    "hl7": {},
    "ai": {},
    "store-tiered": {},
    "lifecycle": {},
}
"""Plugins that nodes of tests have only where `plugins`, or a table, names them, for they take
their time to import; and the tables that they have then."""

START_TIMEOUT = 120.0
"""Seconds that a node process has to become ready."""


@frozen
class NodeThread:
    """A node that runs in an event loop of its own thread.

    Attributes
    ----------
    node : RunningNode
        Use its coroutines through :meth:`call` only.
    portal : BlockingPortal
    data_directory : Path
    """

    node: RunningNode
    portal: BlockingPortal
    data_directory: Path

    @property
    def port(self) -> int:
        """The port that the node listens on."""
        return self.node.port

    @property
    def tls_port(self) -> int:
        """The port for secured associations; 0 if there is none."""
        return self.node.tls_port

    @property
    def peer(self) -> Peer:
        """The node as its peers see it."""
        return Peer(self.node.opened.node.settings.ae_title, "127.0.0.1", self.port)

    def call(self, function: Callable[..., Any], *args: object) -> Any:
        """Run a coroutine function, or any function, in the node's event loop."""
        return self.portal.call(function, *args)


def _with_requested(tables: Tables, plugins: Plugins) -> Tables:
    """Return tables for a node that has those of :data:`ON_REQUEST` that are named."""
    names = {each for each in plugins if isinstance(each, str)}
    plugin = {name: table for name, table in ON_REQUEST.items() if name in names}
    if not plugin:
        return tables
    for name, table in tables.get("plugin", {}).items():
        plugin[name] = {**plugin.get(name, {}), **table}
    return {**tables, "plugin": plugin, "plugins": {"disabled": [], **tables.get("plugins", {})}}


def _tables(data_directory: Path, tables: Tables) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {
        "node": {"port": 0, "data_directory": str(data_directory)},
        "network": {"timeouts": {"shutdown": 1.0}, "refusals_recorded": 1_000_000},
        "log": {"level": "debug"},
        "archive": {"space": {"reserve": 0}},
    }
    for name, table in tables.items():
        merged[name] = merged.get(name, {}) | dict(table)
    plugins = merged.setdefault("plugins", {})
    unwanted = ON_REQUEST.keys() - merged.get("plugin", {}).keys()
    plugins["disabled"] = sorted({*plugins.get("disabled", ()), *unwanted})
    return merged


def usual_plugins(*more: EntryPoint) -> PluginManager:
    """Return a manager of the plugins that nodes of tests have, and some more.

    Parameters
    ----------
    *more : EntryPoint
        Of what is not installed.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    return PluginManager(found=[*(each for each in found if each.name not in ON_REQUEST), *more])


def chosen_plugins(plugins: Plugins, policy: PluginPolicy | None = None) -> PluginManager:
    """Return a manager of these plugins only, whatever else is installed.

    Raises
    ------
    LookupError
        A name is not that of an installed plugin.
    """
    given = [plugin for plugin in plugins if isinstance(plugin, EntryPoint)]
    names = {plugin for plugin in plugins if isinstance(plugin, str)}
    installed = _find_installed(names)
    return PluginManager(policy, [*(point for point in installed if point.name in names), *given])


def _find_installed(wanted: set[str]) -> EntryPoints:
    installed = entry_points(group=ENTRY_POINT_GROUP)
    if missing := wanted - installed.names:
        raise LookupError(
            f"not installed: {', '.join(sorted(missing))}; installed plugins are "
            f"{', '.join(sorted(installed.names)) or 'none'}. What an archive needs comes with "
            'pip install "pacs-core[archive]"'
        )
    return installed


@contextmanager
def node_thread(
    data_directory: Path,
    tables: Tables | None = None,
    manager: PluginManager | None = None,
    *,
    plugins: Plugins | None = None,
) -> Iterator[NodeThread]:
    """Run a node on a free port of the loopback interface.

    Parameters
    ----------
    data_directory : Path
    tables : mapping, optional
        Config tables, as in a config file: ``{"archive": {"duplicates": "reject"}}``.
    manager : PluginManager, optional
        Instead of the plugins of this environment.
    plugins : collection of str or EntryPoint, optional
        The node has these plugins only; by default all that are installed but
        those of :data:`ON_REQUEST`.

    Raises
    ------
    LookupError
        One of `plugins` is not installed.
    """
    tables = _with_requested(tables or {}, plugins or ())
    config = load_config(write_config(data_directory, tables))
    if plugins is not None:
        manager = chosen_plugins(plugins, config.plugins)
    with start_blocking_portal(backend_options=loop_options()) as portal:
        assembly = assemble(config, manager)
        with portal.wrap_async_context_manager(run_node(assembly)) as node:
            yield NodeThread(node, portal, data_directory)


def write_config(data_directory: Path, tables: Tables) -> Path:
    """Write a config file for a test node into its data directory; return its path."""
    data_directory.mkdir(parents=True, exist_ok=True)
    path = data_directory / "pacs.toml"
    path.write_text(to_toml(_tables(data_directory, tables)), encoding="utf-8")
    return path


@define
class NodeProcess:
    """A node that runs as ``pacs serve``.

    Attributes
    ----------
    process : Popen
    port : int
    data_directory : Path
    log : Path
        What it writes to standard error.
    tls_port : int
        For secured associations; 0 if there is none.
    """

    process: subprocess.Popen[str]
    port: int
    data_directory: Path
    log: Path
    tls_port: int = 0

    @property
    def peer(self) -> Peer:
        """The node as its peers see it."""
        return Peer("PACS", "127.0.0.1", self.port)

    def kill(self) -> None:
        """Kill it as a power failure would: SIGKILL, no chance to clean up."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_TIMEOUT)


@contextmanager
def node_process(
    data_directory: Path, tables: Tables | None = None, *, plugins: Collection[str] | None = None
) -> Iterator[NodeProcess]:
    """Run ``pacs serve`` on a free port; it is killed at the end if it still runs.

    Parameters
    ----------
    data_directory, tables
        See :func:`node_thread`.
    plugins : collection of str, optional
        Names of installed plugins; all others are disabled. By default those of
        :data:`ON_REQUEST` only.

    Raises
    ------
    LookupError
        One of `plugins` is not installed.
    """
    tables = dict(_with_requested(tables or {}, plugins or ()))
    if plugins is not None:
        others = _find_installed(set(plugins)).names - set(plugins)
        tables["plugins"] = {"disabled": sorted(others), **tables.get("plugins", {})}
    config_file = write_config(data_directory, tables)
    log = data_directory / "stderr.log"
    command = [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", str(config_file)]
    with log.open("a", encoding="utf-8") as stderr:
        process = subprocess.Popen(  # noqa: S603 our own program
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            preexec_fn=restore_sigint,
        )
    try:
        plain, secured = _await_ready(process, log)
        yield NodeProcess(process, plain, data_directory, log, secured)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await_ready(process: "subprocess.Popen[str]", log: Path) -> tuple[int, int]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        ready = selector.select(START_TIMEOUT)
    line = process.stdout.readline() if ready else ""
    if not line.startswith("ready: "):
        raise RuntimeError(f"the node did not become ready: {line!r}\n{log.read_text()}")
    words = line.partition(" (")[0].split()[1:]
    ports = {word.partition(":")[0]: int(word.rpartition(":")[2]) for word in words}
    return ports.get("dicom", 0), ports.get("dicom-tls", 0)
