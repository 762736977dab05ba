"""All commands of ``pacs``, each with its options: for what describes them, not for running one."""

from collections.abc import Iterator

from cyclopts import App

from pacs_core.cli.application import GROUPS, KERNEL_COMMANDS, build_app
from pacs_core.cli.contributed import add_contributed
from pacs_core.cli.file_commands import list_file_commands


def build_whole_app() -> App:
    """Return the application with the commands of the kernel, of plugins, and those for files."""
    app = build_app()
    add_contributed(app, None, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))
    list_file_commands(app, {name.partition(" ")[0] for name in KERNEL_COMMANDS})
    return app


def iterate_commands(
    app: App, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], App]]:
    """Iterate over the commands, and groups of such, with the words that they are called by."""
    for name in app:
        if not name.startswith("-"):
            yield (*above, name), app[name]
            yield from iterate_commands(app[name], (*above, name))
