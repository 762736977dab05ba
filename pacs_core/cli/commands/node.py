"""``pacs status``, ``pacs reload`` and ``pacs stop``: commands to the node that runs here."""

from datetime import timedelta
from itertools import groupby
from json import dumps
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from pacs_core.app import dicom_urls
from pacs_core.app.control import RELOAD, STATUS, STOP, NodeStatus, Reload, Stop, connect_to_node
from pacs_core.app.control.operations import Nothing
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import LOCAL, JsonOption, LocalOptions
from pacs_core.cli.output import complain, count, print_table, say
from pacs_core.cli.running import run_async
from pacs_core.contracts import ControlError, PluginStatus
from pacs_core.plugins import PluginState

ProcessOption = Annotated[
    int | None,
    Parameter(
        help="Which of several nodes on the data directory: the process that gets its signals."
    ),
]


def status(*, json: JsonOption = False, options: LocalOptions = LOCAL) -> int:
    """Show how the nodes that run on a data directory are: their processes and their plugins.

    Exits with 1 if none runs, a process does not answer, or a plugin is quarantined.

    Parameters
    ----------
    json
        Print one JSON object for each process.
    """
    configure_logging(options.log_level or "warning")
    found, problems = run_async(_status, options)
    if json:
        _print_json(found)
    else:
        for _, processes in groupby(found, lambda each: each.node):
            _print_status(list(processes))
    for problem in problems:
        complain(problem)
    return FAILURE if problems or _quarantined(found) else 0


def _quarantined(found: list[NodeStatus]) -> dict[str, PluginStatus]:
    """Return the plugins that some process cannot use, by name; not those that are disabled."""
    wrong = PluginState.QUARANTINED.value
    return {p.name: p for each in found for p in each.plugins if p.state == wrong}


async def _status(options: LocalOptions) -> tuple[list[NodeStatus], list[str]]:
    found: list[NodeStatus] = []
    problems: list[str] = []
    async with connect_to_node(options.config, options.data) as connection:
        for node in await connection.nodes():
            try:
                async for response in node.call(STATUS, Nothing()):
                    found.append(response.value)  # noqa: PERF401 what comes before an error counts
            except ControlError as error:
                problems.append(str(error))
    return sorted(found, key=lambda each: (each.node, each.worker)), problems


def _print_json(found: list[NodeStatus]) -> None:
    for each in found:
        print(dumps(asdict(each)))


def _print_status(found: list[NodeStatus]) -> None:
    first = found[0]
    where = dicom_urls(first.ae_title, first.host, first.port, first.tls_port)
    say(f"{' '.join(where)} (pacs-core {first.version})")
    if first.index_gap:
        say(first.index_gap)
    rows = [
        (
            str(each.worker),
            str(each.process),
            str(timedelta(seconds=int(each.uptime))),
            str(each.associations),
        )
        for each in found
    ]
    print_table(("WORKER", "PROCESS", "RUNS FOR", "CONNECTIONS"), rows)
    bad = _quarantined(found)
    loaded = [p for p in first.plugins if p.state == PluginState.LOADED.value]
    say(f"{count(len(loaded), 'plugin')} in use, {len(bad)} quarantined")
    for plugin in bad.values():
        say(f"  {plugin.name} ({plugin.source}), {plugin.state}: {plugin.reason}")


def reload(*, process: ProcessOption = None, options: LocalOptions = LOCAL) -> None:
    """Let the running node read its configuration again; what is wrong in it is refused.

    All that may change while the node runs takes effect, or nothing does.
    """
    configure_logging(options.log_level or "warning")
    changes = run_async(_reload, process, options)
    say(f"takes effect: {', '.join(changes.taken) or 'nothing'}")
    if changes.waiting:
        say(f"needs a restart: {', '.join(changes.waiting)}")


async def _reload(process: int | None, options: LocalOptions) -> Reload:
    async with connect_to_node(options.config, options.data, process) as node:
        return await node.ask(RELOAD, Nothing())


def stop(
    *,
    abort: Annotated[bool, Parameter(negative=())] = False,
    process: ProcessOption = None,
    options: LocalOptions = LOCAL,
) -> None:
    """End the running node: it takes nothing new, and lets running associations finish.

    Parameters
    ----------
    abort
        Abort running associations.
    """
    configure_logging(options.log_level or "warning")
    run_async(_stop, abort, process, options)
    say("the node ends")


async def _stop(abort: bool, process: int | None, options: LocalOptions) -> None:
    async with connect_to_node(options.config, options.data, process) as node:
        await node.ask(STOP, Stop(abort))
