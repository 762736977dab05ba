"""The commands: each asks the node that runs."""

from contextlib import aclosing
from pathlib import Path

import anyio

from pacs_core.api.control import connect_to_node
from pacs_tally.operations import BREAK, LOCATE, SHOW, WATCH, Name, Nothing


def show(*, config: Path | None = None) -> None:
    """Show how many instances each process has stored."""
    anyio.run(_show, config)


async def _show(config: Path | None) -> None:
    async with connect_to_node(config) as node:
        async for response in node.call(SHOW, Nothing()):
            count = response.value
            print(response.worker, count.stored, count.watchers, count.since.isoformat())


def watch(*, most: int = 0, config: Path | None = None) -> None:
    """Name instances as they are stored.

    Parameters
    ----------
    most
        Name so many; 0 goes on until interrupted.
    """
    anyio.run(_watch, most, config)


async def _watch(most: int, config: Path | None) -> None:
    seen = 0
    async with (
        connect_to_node(config) as node,
        aclosing(node.call(WATCH, Nothing())) as responses,
    ):
        async for response in responses:
            print(response.value.sop_instance_uid, flush=True)
            seen += 1
            if seen == most:
                return


def locate(study: str, instance: str, *, config: Path | None = None) -> None:
    """Say where an instance lies."""
    anyio.run(_locate, Name(study, instance), config)


async def _locate(name: Name, config: Path | None) -> None:
    async with connect_to_node(config) as node:
        print((await node.ask(LOCATE, name)).key)


def break_it(*, config: Path | None = None) -> None:
    """Let the operation fail."""
    anyio.run(_break, config)


async def _break(config: Path | None) -> None:
    async with connect_to_node(config) as node:
        async for _ in node.call(BREAK, Nothing()):
            print("so far")
