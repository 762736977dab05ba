"""``pacs serve``."""

import errno
import sys

from pacs_core.app import Assembly, RunningNode, assemble
from pacs_core.app import serve as serve_node
from pacs_core.cli.assembling import load_checked, text
from pacs_core.cli.errors import CommandError
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ConfigOption, DataOption, LogLevelOption
from pacs_core.cli.output import count, say
from pacs_core.cli.running import run_async
from pacs_core.contracts import IndexDescriptor, ObjectStoreDescriptor


def serve(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    ae_title: str | None = None,
    host: str | None = None,
    port: int | None = None,
    log_level: LogLevelOption = None,
) -> None:
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
    """
    node = {"data_directory": text(data), "ae_title": ae_title, "host": host, "port": port}
    configure_logging(log_level or "info")
    checked = load_checked(config, {"node": node})
    configure_logging(log_level or checked.log.level)
    assembly = assemble(checked)
    try:
        run_async(serve_node, assembly, lambda running: _announce(assembly, running))
    except OSError as error:
        raise CommandError(_not_listening(assembly, error)) from error


def _announce(assembly: Assembly, node: RunningNode) -> None:
    settings = assembly.config.node
    facts = [
        count(len(assembly.manager.loaded), "plugin"),
        f"store {_chosen(assembly, ObjectStoreDescriptor)}",
        f"index {_chosen(assembly, IndexDescriptor)}",
        f"data {settings.data_directory}",
    ]
    where = _address(settings.host, node.port)
    say(f"ready: dicom://{settings.ae_title}@{where} ({', '.join(facts)})")
    sys.stdout.flush()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _chosen(assembly: Assembly, kind: type) -> str:
    chosen = assembly.choose(kind)
    return chosen[1].name if chosen else "none"


def _not_listening(assembly: Assembly, error: OSError) -> str:
    where = _address(assembly.config.node.host, assembly.config.node.port)
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: the port is in use; give another with --port"
    return f"cannot listen on {where}: {error.strerror or error}"
