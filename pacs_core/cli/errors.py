"""Exit codes, and what a command says when it fails.

| code | meaning |
|---|---|
| 0 | All was done. A query that finds nothing is done, too. |
| 1 | Something failed; standard error says what. |
| 2 | The command line or the configuration is wrong; nothing was done. |
| 3 | There was nothing to do: no file that the command is for, or nothing that matches. |
| 4 | A query was cut at --limit: there are more matches. |
| 5 | A conversion would have lost something: that file was not written, whatever else failed. |
| 130 | Interrupted. |
| 141 | Nobody reads standard output any more. |

The first of 2, 5, 1, 4 and 3 that is true.
"""

import os
import sys
from collections.abc import Iterator

from pacs_core.cli.output import complain

FAILURE = 1
USAGE = 2
NOTHING = 3
"""There was nothing to do: `complain_of_nothing` says why."""

LIMITED = 4
"""There is more than --limit let through."""

NOT_LOSSLESS = 5
"""A conversion would have lost something, and what it made was not kept."""

TRACEBACK_VARIABLE = "PACS_TRACEBACK"
"""Environment variable that asks for the traceback of what ends a command, if it is set."""

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + SIGPIPE, as of a program that the signal has ended."""


def complain_of_nothing(reason: str = "no DICOM file was found") -> int:
    """Say that there was nothing to do, and why; return the exit code."""
    complain(f"there is nothing to do: {reason}")
    return NOTHING


class CommandError(Exception):
    """A command cannot do what it was asked; the message is for the user."""

    exit_code = FAILURE


class UsageError(CommandError):
    """The command line is wrong."""

    exit_code = USAGE


def report(error: BaseException) -> int:
    """Say what went wrong, without a traceback unless debugging; return the exit code."""
    # Most commands end without these, and should not wait for them.
    import logging
    import traceback

    # Tasks that fail together often fail for the same reason.
    leaves = {str(leaf): leaf for leaf in _leaves(error)}.values()
    if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
        # Python flushes standard output at exit, which would fail once more, and loudly.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        return BROKEN_PIPE
    if logging.getLogger().isEnabledFor(logging.DEBUG) or os.environ.get(TRACEBACK_VARIABLE):
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
    if isinstance(error, CommandError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OSError) and error.filename:
        complain(f"{error.filename}: {error.strerror or error}")
        return FAILURE
    return _report_of_kernel(error)


def _report_of_kernel(error: BaseException) -> int:
    # Imported here because they need most of the kernel, which a file that is not there may not.
    from pacs_core.app import StartError
    from pacs_core.association import AssociationError
    from pacs_core.config import ConfigError
    from pacs_core.contracts import ControlError, find_error_status
    from pacs_core.plugins import PluginError

    if isinstance(error, ConfigError):
        for problem in error.problems:
            complain(f"configuration: {problem}")
        return USAGE
    if isinstance(error, PluginError):
        complain(f"configuration: {error}")
        return USAGE
    known = isinstance(error, StartError | AssociationError | ControlError)
    if known or find_error_status(error):
        complain(str(error))
        return FAILURE
    if isinstance(error, OSError):
        complain(error.strerror or str(error))
        return FAILURE
    complain(
        f"internal error: {type(error).__name__}: {error}; "
        f"with {TRACEBACK_VARIABLE}=1 in the environment there is a traceback"
    )
    return FAILURE
