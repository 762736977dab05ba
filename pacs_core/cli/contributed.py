"""Commands that plugins contribute through ``pacs_cli_commands``."""

from collections.abc import Callable
from pathlib import Path

from cyclopts import App

from pacs_core.cli.cyclopts_commands import to_cyclopts
from pacs_core.cli.errors import CommandError
from pacs_core.cli.output import complain
from pacs_core.cli.remembered_commands import config_option
from pacs_core.config import Config, ConfigError, load_config
from pacs_core.contracts import CliCommandDescriptor, Setup
from pacs_core.plugins import KINDS, PluginManager, PluginRecord, PluginState, Registry


def add_contributed(
    app: App,
    arguments: list[str] | None,
    commands: frozenset[str],
    groups: frozenset[str],
) -> bool:
    """Add the plugins' commands to the application.

    Parameters
    ----------
    app : App
    arguments : list of str or None
        The command line: the one command that it names is loaded, the others only listed. None
        loads all.
    commands, groups : frozenset of str
        Names of the kernel's own, which nobody may take.

    Returns
    -------
    bool
        Whether nothing is wrong with any plugin; what is has been said.
    """
    leaves: dict[str, list[str]] = {}
    found, all_well = _descriptors(arguments or [])
    for record, descriptor in found:
        words = descriptor.name.split()
        if descriptor.name in commands | groups or (words and words[0] in commands):
            complain(
                f"plugin {record.name} ({record.source}): the command {descriptor.name!r} is "
                "pacs's own and was ignored"
            )
            all_well = False
        elif words:
            chosen = arguments is None or arguments[: len(words)] == words
            parent = app
            for word in words[:-1]:
                if word not in parent:
                    parent.command(App(name=word))
                parent = parent[word]
            parent.command(_command(record, descriptor, words[-1], chosen))
            group = " ".join(words[:-1])
            if group and group not in groups:
                leaves.setdefault(group, []).append(words[-1])
                parent.help = ", ".join(leaves[group])
    return all_well


def command_of_plugin(name: str, config: Path | None) -> Callable[..., int | None] | None:
    """Return the function of a command that some plugin contributes; None if none does."""
    found, _ = _descriptors(["--config", str(config)] if config is not None else [])
    return next((_load(*each) for each in found if each[1].name == name), None)


def _descriptors(
    arguments: list[str],
) -> tuple[list[tuple[PluginRecord, CliCommandDescriptor]], bool]:
    """Return the commands of plugins, and whether none of these is broken."""
    # Only the hook for commands is asked, with settings by default: no plugin may need a valid
    # configuration to be listed in `pacs --help`.
    manager = PluginManager(_config(arguments).plugins)
    registry = Registry()
    kinds = [kind for kind in KINDS if kind.descriptor is CliCommandDescriptor]
    registry.collect(manager, lambda _: Setup(Config().settings), kinds)
    all_well = all(record.state is not PluginState.QUARANTINED for record in manager.records)
    return registry.entries(CliCommandDescriptor), all_well


def _config(arguments: list[str]) -> Config:
    """Return the configuration, which may disable plugins; a broken one disables none."""
    try:
        return load_config(config_option(arguments))
    except ConfigError:
        return Config()


def _command(
    record: PluginRecord, descriptor: CliCommandDescriptor, name: str, chosen: bool
) -> App:
    command = App(name=name, help=descriptor.help)
    if chosen:
        command.default(to_cyclopts(_load(record, descriptor)))
    return command


def _load(record: PluginRecord, descriptor: CliCommandDescriptor) -> Callable[..., int | None]:
    try:
        return descriptor.load()
    except Exception as error:
        raise CommandError(
            f"plugin {record.name} ({record.source}): the command {descriptor.name!r} cannot be "
            f"loaded: {type(error).__name__}: {error}"
        ) from error
