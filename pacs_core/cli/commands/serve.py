"""``pacs serve``."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import gaierror, socket
from typing import Annotated, Final

from pacs_core.app import (
    Assembly,
    Sockets,
    WorkerSlot,
    address,
    assemble_file,
    bind_dicom,
    bind_services,
    describe_addresses,
    dicom_urls,
    raise_file_limit,
    record_configuration_error,
    restrict_files,
)
from pacs_core.cli.assembling import text
from pacs_core.cli.errors import CommandError, report
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import ConfigOption, DataOption, LogLevelOption
from pacs_core.cli.output import complain, count, say
from pacs_core.cli.running import run_async
from pacs_core.concurrency.event_loops import event_loop
from pacs_core.config import ConfigError, Overrides
from pacs_core.dataset import load_dictionary
from pacs_core.dataset.speedups import all_speedups
from pacs_core.logs.node_log import NodeLog
from pacs_core.plugins import PluginError

logger = logging.getLogger(__name__)

_OF_ADDRESSES: Final = frozenset(
    {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES, errno.EPERM}
)
"""What keeps a node from listening, and not from its store or database."""
_NO_POSIX: Final = (
    "the archive needs files, signals and processes as POSIX has them: run it in WSL 2 or in a "
    "container; commands that need no archive of their own work here"
)


def serve(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    ae_title: str | None = None,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    plugin: Annotated[tuple[Path, ...], Option()] = (),
    log_level: LogLevelOption = None,
) -> int:
    """Run the archive until SIGINT or SIGTERM.

    Once it listens, one line on standard output says where: ready: dicom://PACS@127.0.0.1:11112.
    The first signal lets running associations finish, the second aborts them.

    Parameters
    ----------
    ae_title
        AE title of this node.
    host
        Address to listen on; 0.0.0.0 for all.
    port
        Port to listen on; 0 for any that is free.
    workers
        Processes that share the port; one for each core is a good number.
    plugin
        A Python file with a plugin that is not installed; may be given several times.
    """
    node = {
        "data_directory": text(data),
        "ae_title": ae_title,
        "host": host,
        "port": port,
        "workers": workers,
    }
    if not hasattr(signal, "SIGHUP"):
        raise CommandError(_NO_POSIX)
    from pacs_core.app.memory import share_free_memory
    from pacs_core.app.serve import ignore_harmless_signals, serve as serve_node

    share_free_memory()
    ignore_harmless_signals()
    configure_logging(log_level or "info")
    assembly = _assemble(config, {"node": node, "log": {"level": log_level}}, plugin)
    log = NodeLog()
    log.use(assembly.config.log)
    restrict_files(assembly)
    raise_file_limit(assembly)
    load_dictionary()
    logger.info("%s", event_loop())
    for speedup in all_speedups():
        logger.info("%s", speedup)
    # Process 1 of a container inherits orphans, which the supervisor reaps.
    if assembly.config.node.workers > 1 or os.getpid() == 1:
        return _serve_with_workers(assembly, log)
    try:
        run_async(
            serve_node,
            assembly,
            lambda node: _announce(assembly, (node.port, node.tls_port), node.service_sockets),
            None,
            log,
        )
    except BrokenPipeError:
        # Nobody reads standard output any more: no matter of the network.
        raise
    except OSError as error:
        raise CommandError(_not_listening(assembly, error)) from error
    return 0


def _assemble(
    config: Path | None, overrides: Overrides, plugin_files: tuple[Path, ...]
) -> Assembly:
    """Assemble the node; what keeps it from starting goes into the audit trail."""
    try:
        return assemble_file(config, overrides, plugin_files=plugin_files)
    except (ConfigError, PluginError) as error:
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        configure_logging("critical")  # the problems are reported once, by who catches this
        try:
            run_async(record_configuration_error, problems, config, overrides)
        except Exception as failure:
            complain(f"the configuration error could not be audited: {failure}")
        raise


def _serve_with_workers(assembly: Assembly, log: NodeLog) -> int:
    if not hasattr(signal, "sigtimedwait"):  # macOS
        raise CommandError("several workers need signals that this system lacks: use --workers 1")
    from pacs_core.app.serve import serve as serve_node
    from pacs_core.app.workers import Supervisor

    settings = assembly.config.node
    if settings.workers > 1:
        _check_shared(assembly)
    try:
        plain, secured = bind_dicom(assembly.config)
    except OSError as error:
        raise CommandError(_not_listening(assembly, error)) from error

    def work(current: Assembly, place: WorkerSlot, ready: Callable[[], None]) -> None:
        try:
            run_async(serve_node, current, lambda _: ready(), place, log)
        except Exception as error:
            sys.exit(report(error))

    ports = _port_of(plain), _port_of(secured)
    services = bind_services(assembly)
    supervisor = Supervisor(assembly, plain, settings.workers, work, services, secured, log)
    return supervisor.run(lambda: _announce(assembly, ports, services))


def _port_of(sockets: Sequence[socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _check_shared(assembly: Assembly) -> None:
    """Refuse to let many processes use a store or index that is one process's own."""
    index, store = assembly.choose_index(), assembly.choose_store()
    own = []
    if store is not None and not store.create().shared:
        own.append(store.name)
    if index is not None and not index[1].create(assembly.setup_for(index[0])).shared:
        own.append(index[1].name)
    if own:
        raise CommandError(f"{own[0]} cannot be shared by workers: use --workers 1")


def _announce(assembly: Assembly, ports: tuple[int, int], services: Sockets) -> None:
    settings, store, index = assembly.config.node, assembly.choose_store(), assembly.choose_index()
    facts = [
        count(len(assembly.manager.loaded), "plugin"),
        f"store {store.name if store else 'none'}",
        f"index {index[1].name if index else 'none'}",
        f"data {settings.data_directory}",
    ]
    if settings.workers > 1:
        facts.insert(0, f"{settings.workers} workers")
    where = dicom_urls(settings.ae_title, settings.host, *ports)
    say(f"ready: {' '.join(where)} ({', '.join(facts)})")
    for line in describe_addresses(assembly, services):
        say(line)
    sys.stdout.flush()


def _not_listening(assembly: Assembly, error: OSError) -> str:
    plain = address(assembly.config.node.host, assembly.config.node.port)
    where = error.filename or plain
    if error.errno == errno.EADDRINUSE:
        how = "with --port" if where == plain else "in [network.tls]"
        return f"cannot listen on {where}: the port is in use; give another {how}"
    if not isinstance(error, gaierror) and error.errno not in _OF_ADDRESSES:
        return str(error)  # of a store that does not answer, say
    return f"cannot listen on {where}: {error.strerror or error}"
