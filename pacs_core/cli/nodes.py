"""The node of this machine, opened for a command of a plugin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pacs_core.app import open_archive
from pacs_core.cli.assembling import assemble_for_command
from pacs_core.contracts import Node


@asynccontextmanager
async def open_node(config: Path | None, *requires: type) -> AsyncIterator[Node]:
    """Open the node for an ``async with`` block, with what the command needs of it started.

    Parameters
    ----------
    config : Path, optional
        As of :data:`ConfigOption`.
    *requires : type
        Interfaces of capabilities: ``node.find`` has them.

    Raises
    ------
    ConfigError, PluginError, CapabilityError
        There is no such node, or no such capability.
    """
    async with open_archive(assemble_for_command(config), requires=requires) as opened:
        yield opened.node
