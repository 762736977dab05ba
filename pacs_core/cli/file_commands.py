"""Commands for files, which distributions offer by entry points of the group `GROUP`.

Such a command needs no node, no configuration and no other plugin, and is there at once: nothing
but its own module is imported. A command that needs the node comes from ``pacs_cli_commands``.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from cyclopts import App
from importlib_metadata import EntryPoint, entry_points

from pacs_core.cli.errors import CommandError
from pacs_core.cli.output import complain

GROUP: Final = "pacs_core.commands"


def find_file_command(arguments: list[str]) -> EntryPoint | None:
    """Return the command that a command line begins with, if it is one for files."""
    return next(iter(entry_points(group=GROUP, name=arguments[0])), None) if arguments else None


def add_file_command(app: App, point: EntryPoint) -> None:
    """Add the one command that is to be run.

    Raises
    ------
    CommandError
        It cannot be imported.
    """
    app.command(_load(point), name=point.name)


def list_file_commands(app: App, taken: Iterable[str]) -> None:
    """Add all commands for files, but those whose names are taken; for the help."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in taken:
            complain(f"{_source(point)}: the command {point.name!r} is pacs's own and was ignored")
            continue
        try:
            app.command(_load(point), name=point.name)
        except CommandError as error:
            complain(str(error))


def _load(point: EntryPoint) -> Callable[..., Any]:
    try:
        return point.load()  # type: ignore[no-any-return]
    except Exception as error:
        raise CommandError(
            f"{_source(point)}: the command {point.name!r} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
