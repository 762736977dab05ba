"""All commands of ``pacs``, each with its options: for what describes them, not for running one."""

from collections.abc import Iterator

from cyclopts import App

from pacs_core.cli.application import build_app
from pacs_core.cli.contributed import add_contributed
from pacs_core.cli.file_commands import list_file_commands
from pacs_core.cli.kernel_commands import FIRST_WORDS, GROUPS, KERNEL_COMMANDS


def build_whole_app() -> App:
    """Return the application with the commands of the kernel, of plugins, and those for files."""
    return build_whole_app_checked()[0]


def build_whole_app_checked() -> tuple[App, bool]:
    """Return that, and whether nothing was wrong with a plugin."""
    app = build_app()
    all_well = add_contributed(app, None, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))
    all_well &= list_file_commands(app, FIRST_WORDS)
    return app, all_well


def iterate_commands(
    app: App, above: tuple[str, ...] = (), *, without: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[str, ...], App]]:
    """Iterate over the commands, and groups of such, with the words that they are called by.

    Parameters
    ----------
    app : App
    above : tuple of str
        Words by which `app` itself is called.
    without : frozenset of str
        Commands that are left out, and not imported.
    """
    for name in app:
        words = (*above, name)
        if not name.startswith("-") and " ".join(words) not in without:
            yield words, app[name]
            yield from iterate_commands(app[name], words, without=without)
