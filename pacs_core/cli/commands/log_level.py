"""``pacs log-level``."""

from typing import Annotated

from pacs_core.app.control import (
    LOG_LEVELS,
    SET_LOG_LEVELS,
    LogLevels,
    Nothing,
    SetLogLevels,
    connect_to_node,
)
from pacs_core.cli.commands.node import ProcessOption
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import print_table
from pacs_core.cli.running import run_async
from pacs_core.logs.level_names import LogLevel

_ROOT = "(all others)"


def log_level(
    level: LogLevel | None = None,
    /,
    *,
    logger: Annotated[tuple[str, ...], Option()] = (),
    reset: Annotated[bool, Option()] = False,
    process: ProcessOption = None,
    options: LocalOptions = LOCAL,
) -> None:
    """Show what the running node logs, or let it log more or less.

    What is set holds in all workers until the node reads its configuration again; workers that
    are started later have the levels of the configuration.

    Parameters
    ----------
    level
        debug, info, warning, error or critical; without it, levels are shown.
    logger
        Only for this logger and those below it, such as pacs_web; may be given several times.
    reset
        Go back to the levels of the configuration first.
    """
    configure_logging(options.log_level or "warning")
    wanted = dict.fromkeys(logger or ("",), str(level)) if level else {}
    found = run_async(_levels, SetLogLevels(wanted, reset), process, options)
    rows = {(name or _ROOT, level) for each in found for name, level in each.levels.items()}
    print_table(["LOGGER", "LEVEL"], sorted(rows))


async def _levels(
    request: SetLogLevels, process: int | None, options: LocalOptions
) -> list[LogLevels]:
    async with connect_to_node(options.config, options.data, process) as node:
        if request == SetLogLevels():
            return [each.value async for each in node.call(LOG_LEVELS, Nothing())]
        return [each.value async for each in node.call(SET_LOG_LEVELS, request)]
