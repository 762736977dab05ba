"""Files queried as an archive is: keys as they are typed, matched, and what matches written.

It brings the query model, which other commands for files do not wait for: import it where it is
used.
"""

from pacs_core.cli.formats import WRITERS, Format, MatchWriter
from pacs_core.cli.keys import parse_keys
from pacs_core.contracts import InvalidKeyError, KeyMatching, matches

__all__ = [
    "WRITERS",
    "Format",
    "InvalidKeyError",
    "KeyMatching",
    "MatchWriter",
    "matches",
    "parse_keys",
]
