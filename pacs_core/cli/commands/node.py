"""``pacs reload`` and ``pacs stop``: commands to the node that runs here."""

from typing import Annotated

from pacs_core.app.control import RELOAD, STOP, Reload, Stop, connect_to_node
from pacs_core.app.control.operations import Nothing
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import say
from pacs_core.cli.running import run_async

ProcessOption = Annotated[
    int | None,
    Option(help="Which of several nodes on the data directory: the process that gets its signals."),
]


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
    abort: Annotated[bool, Option()] = False,
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
