"""The commands of ``pacs`` as Cyclopts knows them: ours, and those that plugins contribute."""

from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from pacs_core.cli.cyclopts_commands import lazy_path
from pacs_core.cli.errors import USAGE
from pacs_core.cli.kernel_commands import (
    FIRST_WORDS,
    GROUPS,
    KERNEL_COMMANDS,
    find_kernel_command,
)
from pacs_core.cli.output import complain

if TYPE_CHECKING:
    from pacs_core.cli.remembered_commands import CommandMemory


def run_application(arguments: list[str]) -> object:
    """Run a command line of any kind, and return what the command does, or an exit code."""
    app = build_app_for(arguments)
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        complain(str(error).replace("\n", " "))
        return USAGE


def build_app_for(arguments: list[str]) -> App:
    """Return the application with what a command line may mean, or asks the help of."""
    app = build_app()
    if not find_kernel_command(arguments):
        _add_commands(app, arguments)
    return app


def _add_commands(app: App, arguments: list[str]) -> None:
    """Add what is none of ours, and no more of it than the command line needs."""
    from pacs_core.cli.file_commands import add_file_command, find_file_command

    is_own = bool(arguments) and arguments[0] in FIRST_WORDS
    if not is_own and (point := find_file_command(arguments)):
        add_file_command(app, point)
        return
    # Importing all plugins costs time, and the help needs only what they said before.
    from pacs_core.cli.remembered_commands import CommandMemory

    memory = CommandMemory(arguments)
    known = memory.recall()
    if known is not None and not known.runs(arguments):
        known.add_to(app)
        return
    _add_of_plugins(app, arguments, memory)


def _add_of_plugins(app: App, arguments: list[str], memory: "CommandMemory") -> None:
    from pacs_core.cli.contributed import add_contributed
    from pacs_core.cli.file_commands import list_file_commands

    all_well = add_contributed(app, arguments, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))
    # For the help, or to say which one was meant.
    if not arguments or arguments[0].startswith("-") or arguments[0] not in app:
        all_well &= list_file_commands(app, FIRST_WORDS)
        if all_well:
            memory.keep(app, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))


def build_app() -> App:
    """Return the application with the commands of the kernel."""
    app = App(
        name="pacs",
        help="A plugin-driven DICOM archive.",
        version_flags=[],
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    groups = {name: App(name=name.rpartition(" ")[2], help=text) for name, text in GROUPS.items()}
    for name, (target, text) in KERNEL_COMMANDS.items():
        group, _, leaf = name.rpartition(" ")
        parent = groups[group] if group else app
        parent.command(lazy_path(f"pacs_core.cli.commands.{target}"), name=leaf, help=text)
    for name, group_app in groups.items():
        parent = groups.get(name.rpartition(" ")[0], app)
        parent.command(group_app)
    return app
