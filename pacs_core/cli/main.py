"""Entry point of ``pacs``: answers ``--version`` before anything else is imported."""

import gc
import os
import sys
from collections.abc import Sequence

_VERSION_FLAGS = ("--version", "-V")
_YOUNG_OBJECTS = 3000
"""So many new objects make the garbage collector look at them, instead of 700."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        Exit code, see :mod:`pacs_core.cli.errors`.
    """
    is_process = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    _fill_standard_descriptors()
    if arguments and arguments[0] in _VERSION_FLAGS:
        # Imported here, and before cyclopts is: the version is asked for by scripts, and at once.
        from importlib.metadata import version

        try:
            print(f"pacs {version('pacs-core')}", flush=True)
        except BrokenPipeError as error:
            from pacs_core.cli.errors import report

            return report(error)
        return 0
    # What is made while modules are imported stays: to look for garbage among it takes a tenth of a
    # start. Once the command is imported, it is looked for again.
    gc.set_threshold(_YOUNG_OBJECTS)
    gc.disable()
    from pacs_core.cli.command_lines import run

    code = run(list(arguments))
    if is_process:
        # Nor need it be looked for at the end, which takes as long again.
        gc.freeze()
    return code


def _fill_standard_descriptors() -> None:
    """Open what a parent has closed of standard input, output and error.

    The next file that is opened would get its number, and that may be a database, into which
    then goes what a library prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


if __name__ == "__main__":
    sys.exit(main())
