"""Digests that dcm4chee has kept: lines of an MD5 and a path, as md5sum writes them.

dcm4chee 2 writes such a list into each of its TAR archives; of the files in a storage folder only
the database knows them, from which they can be written out.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Final

from pacs_core.cli.other_archives import OtherArchiveError

_LINE: Final = re.compile(r"([0-9A-Fa-f]{32}) [ *](.+)")


def read_lines(lines: Iterable[str], where: str) -> Iterator[tuple[str, str]]:
    """Yield path and MD5 of each line.

    Raises
    ------
    OtherArchiveError
        A line is something else.
    """
    for number, line in enumerate(lines, 1):
        if not (line := line.rstrip("\r\n")):
            continue
        if not (found := _LINE.fullmatch(line)):
            raise OtherArchiveError(
                f"{where}, line {number}: it is no MD5 and path, as md5sum writes them"
            )
        yield found[2], found[1].lower()


class Digests:
    """Digests of many files by path, in a temporary file: an archive may have a billion.

    Parameters
    ----------
    lines : iterable of (path, MD5)
    """

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lock = Lock()
        # "" is a database in a temporary file, which is gone when it is closed.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE digest (path TEXT PRIMARY KEY, md5 TEXT, found INT) WITHOUT ROWID; BEGIN"
        )
        self._database.executemany("INSERT OR REPLACE INTO digest VALUES (?, ?, 0)", lines)

    def find(self, path: str) -> str:
        """Return the MD5 of a path, and note that it was found; empty if it has none."""
        with self._lock:
            row = self._database.execute(
                "UPDATE digest SET found = 1 WHERE path = ? RETURNING md5", (path,)
            ).fetchone()
        return str(row[0]) if row else ""

    def unfound(self) -> Iterator[str]:
        """Yield the paths that nobody has asked for."""
        with self._lock:
            for (path,) in self._database.execute("SELECT path FROM digest WHERE NOT found"):
                yield str(path)
