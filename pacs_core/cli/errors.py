"""What a command says when it fails, and its exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Iterator

from pacs_core.cli.output import complain

FAILURE = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + SIGPIPE, as of a program that the signal has ended."""


class CommandError(Exception):
    """A command cannot do what it was asked; the message is for the user."""

    exit_code = FAILURE


class UsageError(CommandError):
    """The command line is wrong."""

    exit_code = USAGE


def report(error: BaseException) -> int:
    """Say what went wrong, without a traceback unless debugging; return the exit code."""
    # Tasks that fail together often fail for the same reason.
    leaves = {str(leaf): leaf for leaf in _leaves(error)}.values()
    if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
        return _silence_output()
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    return max(map(_report_one, leaves))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    pending = [error]
    while pending:
        first = pending.pop(0)
        if isinstance(first, BaseExceptionGroup):
            pending = [*first.exceptions, *pending]
        else:
            yield first


def _report_one(error: BaseException) -> int:
    # Imported here because they need most of the kernel, which a good command line may not.
    from pacs_core.app import StartError
    from pacs_core.association import AssociationError
    from pacs_core.config import ConfigError
    from pacs_core.plugins import PluginError

    if isinstance(error, ConfigError):
        for problem in error.problems:
            complain(f"configuration: {problem}")
        return USAGE
    if isinstance(error, PluginError):
        complain(f"configuration: {error}")
        return USAGE
    if isinstance(error, CommandError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, StartError | AssociationError | OSError):
        complain(str(error))
        return FAILURE
    complain(
        f"internal error: {type(error).__name__}: {error}; "
        "run it again with --log-level debug for a traceback"
    )
    return FAILURE


def _silence_output() -> int:
    """Let nothing more be written to a pipe that nobody reads, not even at exit."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    return BROKEN_PIPE
