"""Preparation of a process before it opens anything: who may read its files, how many it has."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pacs_core.app.assembly import Assembly

logger = logging.getLogger(__name__)

_OTHER_FILES: Final = 512
"""Descriptors for all that is no connection: index, directories, objects, codec processes."""


def restrict_files(assembly: Assembly) -> None:
    """Let what this process makes be read by nobody but those whom the configuration says.

    The mode of new files and directories follows from the umask. Directories that are there
    already (the data directory, those in it, the store's root) are closed to others, and so is
    what lies below them.
    """
    mode = int(assembly.config.node.file_mode, 8)
    allowed = mode | (mode & 0o444) >> 2  # who may read a file may enter its directory
    os.umask(0o777 & ~allowed)
    for path in _directories(assembly):
        try:
            before = stat.S_IMODE(path.stat().st_mode)
            if before & ~allowed & 0o777:
                path.chmod(before & allowed)
                logger.info("%s: mode %04o is now %04o", path, before, before & allowed)
        except OSError as error:
            logger.warning("%s: its mode cannot be restricted to %04o: %s", path, allowed, error)


def _directories(assembly: Assembly) -> Iterator[Path]:
    data = assembly.config.node.data_directory
    if data.is_dir():
        yield data
        yield from (path for path in data.iterdir() if path.is_dir() and not path.is_symlink())
    if plan := assembly.choose_store():
        yield from (root for _, root in plan.directories() if root.is_dir())


def raise_file_limit(assembly: Assembly) -> None:
    """Allow as many open files as the system does, and say so if that is too few."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # macOS has a limit of its own below an unlimited one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    network = assembly.config.network
    # An association of C-MOVE has another to its destination.
    needed = 2 * network.max_associations + network.max_half_open + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        logger.warning(
            "this process may have %d files open, and %d associations may need %d: raise the hard "
            "limit (ulimit -Hn, LimitNOFILE=), or lower [network] max_associations",
            hard,
            network.max_associations,
            needed,
        )
