"""Entry point of ``pacs``: answers ``--version`` before anything else is imported."""

import sys
from collections.abc import Sequence

_VERSION_FLAGS = ("--version", "-V")


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
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in _VERSION_FLAGS:
        # Imported here, and before cyclopts is: the version is asked for by scripts, and at once.
        from importlib.metadata import version

        print(f"pacs {version('pacs-core')}")
        return 0
    from pacs_core.cli.application import run

    return run(list(arguments))


if __name__ == "__main__":
    sys.exit(main())
