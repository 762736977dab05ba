"""Commands for files, which distributions offer by entry points of the group `GROUP`.

Such a command needs no node, no configuration and no other plugin, and is there at once: nothing
but its own module is imported. A command that needs the node comes from ``pacs_cli_commands``.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pacs_core.cli.errors import CommandError
from pacs_core.cli.option import import_target
from pacs_core.cli.output import complain
from pacs_core.entry_points import EntryPoint, find_entry_points

if TYPE_CHECKING:
    from cyclopts import App

# Theory of operation
#
# What is not found in the folders on the path may still exist, in a zip file or behind a finder of
# somebody's own: then importlib_metadata is asked after all, as for the help, and to say whose a
# command is that fails.

GROUP: Final = "pacs_core.commands"


def find_file_command(arguments: list[str]) -> EntryPoint | None:
    """Return the command that a command line begins with, if it is one for files."""
    if not arguments:
        return None
    name = arguments[0]
    found = next((each for each in find_entry_points(GROUP) if each.name == name), None)
    return found or next((each for each in _all() if each.name == name), None)


def _all() -> list[EntryPoint]:
    """Return all commands for files, by name."""
    from importlib_metadata import entry_points

    found = {
        each.name: EntryPoint(
            each.name, each.value, f"{each.dist.name} {each.dist.version}" if each.dist else ""
        )
        for each in entry_points(group=GROUP)
    }
    return [found[name] for name in sorted(found)]


def add_file_command(app: "App", command: EntryPoint) -> None:
    """Add the one command that is to be run.

    Raises
    ------
    CommandError
        It cannot be imported.
    """
    from pacs_core.cli.cyclopts_commands import to_cyclopts

    with _blaming(command):
        made = to_cyclopts(command.load(), command.name)
    app.command(made, name=command.name)


def list_file_commands(app: "App", taken: Iterable[str]) -> bool:
    """Add all commands for files, but those whose names are taken; for the help.

    Returns whether all could be added; what could not has been said.
    """
    complaints = []
    for command in _all():
        if command.name in taken:
            complaints.append(
                f"{_source(command)}: the command {command.name!r} is pacs's own and was ignored"
            )
            continue
        try:
            add_file_command(app, command)
        except CommandError as error:
            complaints.append(str(error))
    for each in complaints:
        complain(each)
    return not complaints


def load_file_command(command: EntryPoint, target: str = "") -> Any:
    """Import a command.

    Parameters
    ----------
    command : EntryPoint
    target : str, optional
        ``module:function`` of a command of the group that it is.

    Returns
    -------
    callable, CommandGroup or cyclopts.App

    Raises
    ------
    CommandError
        It cannot be imported.
    """
    with _blaming(command):
        return import_target(target) if target else command.load()


@contextmanager
def _blaming(command: EntryPoint) -> Iterator[None]:
    """Say whose command it is that cannot be imported."""
    try:
        yield
    except Exception as error:
        raise CommandError(
            f"{_source(command)}: the command {command.name!r} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def _source(command: EntryPoint) -> str:
    """Return who offers a command: a distribution, or else a module."""
    return command.distribution or command.value
