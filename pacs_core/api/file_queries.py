"""Files queried as an archive is: keys as they are typed, matched, and what matches written.

It brings the query model, which other commands for files do not wait for: import it where it is
used. No more of the node comes with it.
"""

from pacs_core.cli.formats import WRITERS, Format, MatchWriter
from pacs_core.cli.keys import parse_keys
from pacs_core.query.keys import InvalidKeyError, KeyMatching
from pacs_core.query.matching import matches

__all__ = [
    "WRITERS",
    "Format",
    "InvalidKeyError",
    "KeyMatching",
    "MatchWriter",
    "matches",
    "parse_keys",
]
