"""Command lines of ``pacs``: plain ones of most commands, and all others by Cyclopts."""

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from pacs_core.cli.errors import BROKEN_PIPE, report
from pacs_core.cli.file_commands import GROUP, load_file_command
from pacs_core.cli.kernel_commands import FIRST_WORDS, KERNEL_COMMANDS, find_kernel_command
from pacs_core.cli.option import CommandGroup, import_target
from pacs_core.cli.plain_lines import NotPlainError, read_plain_line
from pacs_core.entry_points import find_entry_points


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; failures become messages."""
    try:
        result = _find_command(arguments)()
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
    except SystemExit as error:
        # So the library of the help ends the process when nobody reads any more.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return BROKEN_PIPE
    return result if isinstance(result, int) else 0


def _find_command(arguments: list[str]) -> Callable[[], Any]:
    """Return the call that a command line stands for."""
    try:
        plain = _find_plain(arguments)
    finally:
        gc.enable()  # which `main` has switched off
    if plain is not None:
        return plain
    # For help, for mistakes, and for commands of plugins that talk to a node.
    from pacs_core.cli.application import run_application

    return partial(run_application, arguments)


def _find_plain(arguments: list[str]) -> Callable[[], Any] | None:
    """Return the call that a plain line stands for, of a command of ours or of one for files."""
    if not arguments or arguments[0].startswith("-"):
        return None
    is_own = arguments[0] in FIRST_WORDS
    found = _find_own(arguments) if is_own else _find_file_command(arguments)
    if found is None:
        return None
    command, typed = found
    try:
        positional, keywords = read_plain_line(command, typed)
    except NotPlainError:
        return None
    return partial(command, *positional, **keywords)


def _find_own(arguments: list[str]) -> tuple[Callable[..., Any], list[str]] | None:
    if not (words := find_kernel_command(arguments)):
        return None
    target, _ = KERNEL_COMMANDS[" ".join(words)]
    return import_target(f"pacs_core.cli.commands.{target}"), arguments[len(words) :]


def _find_file_command(arguments: list[str]) -> tuple[Callable[..., Any], list[str]] | None:
    points = find_entry_points(GROUP)
    point = next((each for each in points if each.name == arguments[0]), None)
    if point is None:
        return None
    command, typed = load_file_command(point), arguments[1:]
    if isinstance(command, CommandGroup):
        if not typed or typed[0] not in command.commands:
            return None
        command, typed = load_file_command(point, command.commands[typed[0]]), typed[1:]
    return command, typed
