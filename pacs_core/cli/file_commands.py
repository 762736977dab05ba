"""Commands for files, which distributions offer by entry points of the group `GROUP`.

Such a command needs no node, no configuration and no other plugin, and is there at once: nothing
but its own module is imported. A command that needs the node comes from ``pacs_cli_commands``.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any, Final

from attrs import frozen
from cyclopts import App

from pacs_core.cli.errors import CommandError
from pacs_core.cli.output import complain

# Theory of operation
#
# Asking importlib_metadata for an entry point costs a seventh of all that a short command takes:
# its own import, and reading what every distribution offers. So the entry_points.txt of folders on
# the path are searched for the one group first. What is not found there may still exist, in a zip
# file or behind a finder of somebody's own: then importlib_metadata is asked after all, as for the
# help, and to say whose a command is that fails.

GROUP: Final = "pacs_core.commands"
_HEADING: Final = f"[{GROUP}]"


@frozen
class FileCommand:
    """A command that a distribution offers.

    Attributes
    ----------
    name : str
        As typed.
    value : str
        ``module:object``.
    """

    name: str
    value: str

    def load(self) -> Callable[..., Any]:
        """Import it."""
        module, _, names = self.value.partition("[")[0].partition(":")
        found: Callable[..., Any] = attrgetter(names.strip())(import_module(module.strip()))
        return found


def find_file_command(arguments: list[str]) -> FileCommand | None:
    """Return the command that a command line begins with, if it is one for files."""
    if not arguments:
        return None
    name = arguments[0]
    found = next((each for each in _on_the_path() if each.name == name), None)
    return found or next((each for each in _all() if each.name == name), None)


def _on_the_path() -> Iterator[FileCommand]:
    """Iterate over the commands of distributions that lie in folders on the path."""
    for folder in sys.path:
        try:
            names = [each for each in os.listdir(folder or ".") if each.endswith(".dist-info")]
        except OSError:
            continue
        for each in names:
            try:
                with open(os.path.join(folder, each, "entry_points.txt"), encoding="utf-8") as file:
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            if _HEADING in text:
                yield from _commands(text)


def _commands(text: str) -> Iterator[FileCommand]:
    within = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            within = line == _HEADING
        elif within and line[:1] not in {"", "#", ";"}:
            name, _, value = line.partition("=")
            yield FileCommand(name.strip(), value.strip())


def _all() -> list[FileCommand]:
    """Return all commands for files, by name."""
    from importlib_metadata import entry_points

    found = {
        point.name: FileCommand(point.name, point.value) for point in entry_points(group=GROUP)
    }
    return [found[name] for name in sorted(found)]


def add_file_command(app: App, command: FileCommand) -> None:
    """Add the one command that is to be run.

    Raises
    ------
    CommandError
        It cannot be imported.
    """
    app.command(_load(command), name=command.name)


def list_file_commands(app: App, taken: Iterable[str]) -> bool:
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
            app.command(_load(command), name=command.name)
        except CommandError as error:
            complaints.append(str(error))
    for each in complaints:
        complain(each)
    return not complaints


def _load(command: FileCommand) -> Callable[..., Any]:
    try:
        return command.load()
    except Exception as error:
        raise CommandError(
            f"{_source(command)}: the command {command.name!r} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def _source(command: FileCommand) -> str:
    """Return name and version of the distribution that offers a command."""
    from importlib_metadata import entry_points

    points = entry_points(group=GROUP, name=command.name)
    dist = next((point.dist for point in points if point.value == command.value), None)
    return f"{dist.name} {dist.version}" if dist else command.value
