"""The node of this machine, opened for a command of a plugin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_for_command
from pacs_core.cli.errors import CommandError
from pacs_core.contracts import Node, interface_name
from pacs_core.plugins import PluginState


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
    ConfigError, PluginError
        There is no such node.
    CommandError
        A capability did not start; says why.
    """
    assembly = assemble_for_command(config)
    async with open_archive(assembly, requires=requires) as opened:
        for interface in requires:
            if not opened.node.capabilities.provides(interface):
                _refuse_without(assembly, interface)
        yield opened.node


def _refuse_without(assembly: Assembly, interface: type) -> None:
    """Raise with what a plugin that provides an interface has failed from, if one has."""
    reasons = [
        f"{record.name} ({record.source}): {record.reason}"
        for record in assembly.manager.records
        if record.state is PluginState.QUARANTINED
    ]
    if reasons:
        name = interface_name(interface)
        raise CommandError(f"{name} cannot be had, since {'; '.join(reasons)}")
