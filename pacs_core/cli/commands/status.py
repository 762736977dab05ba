"""``pacs status``: what a person wants to know of the nodes that run here, on one screen."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from json import dumps
from typing import Annotated, Final

from attrs import asdict

from pacs_core.app import dicom_urls
from pacs_core.app.control import STATUS, NodeStatus, connect_to_node
from pacs_core.app.control.operations import Nothing
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, JsonOption, LocalOptions
from pacs_core.cli.output import complain, count, print_table, say
from pacs_core.cli.running import run_async
from pacs_core.contracts import ControlError, PluginStatus
from pacs_core.plugins import PluginState

_SOON: Final = timedelta(days=30)
_CLEAR: Final = "\x1b[H\x1b[2J"

WatchOption = Annotated[
    float | None, Option(help="Show it again every so many seconds, until Ctrl-C.")
]


def status(
    *, json: JsonOption = False, watch: WatchOption = None, options: LocalOptions = LOCAL
) -> int:
    """Show how the nodes that run on a data directory are, and what somebody should look at.

    Exits with 1 if none runs, a process does not answer, a part does not work, or a plugin is
    quarantined.

    Parameters
    ----------
    json
        Print one JSON object for each process.
    """
    configure_logging(options.log_level or "warning")
    if watch is None:
        return _show(*run_async(_status, options), json=json)
    while True:
        found, problems = run_async(_status, options)
        if not json:
            print(f"{_CLEAR}{datetime.now():%H:%M:%S}")
        _show(found, problems, json=json)
        time.sleep(max(watch, 0.1))


def _show(found: list[NodeStatus], problems: list[str], *, json: bool) -> int:
    for _, processes in groupby(found, lambda each: each.node):
        if json:
            for each in processes:
                print(dumps(asdict(each), default=str), flush=True)
        else:
            _print_status(list(processes))
    for problem in problems:
        complain(problem)
    is_broken = any(result.problem for each in found for result in each.health)
    return FAILURE if problems or is_broken or _quarantined(found) else 0


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


def _print_status(found: list[NodeStatus]) -> None:
    first = found[0]
    where = dicom_urls(first.ae_title, first.host, first.port, first.tls_port)
    say(f"{' '.join(where)} (pacs-core {first.version})")
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
    for line in (*_health(found), *_resources(found), *_queues(found), *_certificates(first)):
        say(line)
    bad = _quarantined(found)
    loaded = [p for p in first.plugins if p.state == PluginState.LOADED.value]
    say(f"{count(len(loaded), 'plugin')} in use, {len(bad)} quarantined")
    for plugin in bad.values():
        say(f"  {plugin.name} ({plugin.source}), {plugin.state}: {plugin.reason}")
    told = (*filter(None, [first.index_gap]), *(w for each in found for w in each.warnings))
    for warning in dict.fromkeys(told):  # each once, whichever process says so
        if not warning.startswith("the plugin "):
            say(f"warning: {warning}")


def _health(found: Sequence[NodeStatus]) -> Iterator[str]:
    """Yield a line for what works, and one for each part that some process cannot use."""
    slowest: dict[str, float] = {}
    problems = []
    for each in found:
        for result in each.health:
            slowest[result.name] = max(result.seconds, slowest.get(result.name, 0.0))
            if result.problem:
                problems.append((result.name, each.worker, result.problem))
    bad = {name for name, _, _ in problems}
    good = [f"{name} {took * 1000:.1f} ms" for name, took in slowest.items() if name not in bad]
    if good:
        yield f"works: {', '.join(good)}"
    for name, worker, problem in problems:
        yield f"DOES NOT WORK: {name} (worker {worker}): {problem}"


def _resources(found: Sequence[NodeStatus]) -> Iterator[str]:
    for room in found[0].resources:
        if room.name == "room":
            share = room.free / room.limit if room.limit else 0.0
            yield f"room: {_size(room.free)} ({share:.0%}) free for {room.where}"
    free: Counter[str] = Counter()
    limit: Counter[str] = Counter()
    for each in found:
        for resource in each.resources:
            free[resource.name] += int(resource.free)
            limit[resource.name] += int(resource.limit)
    memory, codecs = "memory", "codec-processes"
    yield (
        f"memory for datasets: {_size(limit[memory] - free[memory])} of {_size(limit[memory])}; "
        f"codec processes: {limit[codecs] - free[codecs]} of {limit[codecs]}"
    )


def _queues(found: Sequence[NodeStatus]) -> Iterator[str]:
    waiting: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    for each in found:
        for queue in each.queues:
            key = queue.kind, queue.name
            # Consumers of changes belong to the node, and every process tells of them.
            is_shared = queue.kind == "changes"
            waiting[key] = queue.waiting if is_shared else waiting[key] + queue.waiting
            lost[key] += queue.lost
    for (kind, name), number in sorted(waiting.items()):
        what = _size(number) if kind == "write-behind" else str(number)
        yield f"{kind} of {name}: {what} waiting, {lost[kind, name]} lost"


def _certificates(first: NodeStatus) -> Iterator[str]:
    now = datetime.now(UTC)
    for each in first.certificates:
        if each.not_after is None:
            yield f"certificate {each.where}: it cannot be read"
        elif each.not_after - now < _SOON:
            yield f"certificate {each.where}: expires on {each.not_after:%Y-%m-%d}"


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
