"""Person name patterns (PS3.4 C.2.2.2.1, C.2.2.2.4; PS3.5 §6.2.1.2)."""

import re
from collections.abc import Iterator

from pacs_core.contracts import fold_name
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import Comparison, any_of, like
from pacs_core.relational.sound import parts, soundex


def group_patterns(groups: tuple[str, ...]) -> dict[int, str]:
    """Return the patterns that restrict anything, by number of their component group."""
    folded = {number: fold_name(pattern) for number, pattern in enumerate(groups[:3])}
    return {number: pattern for number, pattern in folded.items() if pattern.strip("*")}


def like_name(pattern: str, names: Iterator[int], dialect: Dialect) -> Comparison:
    """Compare with a folded name; trailing components that may be empty may be absent."""
    shorter = re.sub(r"\^[\^*]*$", "", pattern)
    patterns = [pattern] if shorter in {"", pattern} else [pattern, shorter]
    found = [like(each, names, dialect.like) for each in patterns]
    return lambda column: any_of([comparison(column) for comparison in found])


def sound_keys(pattern: str) -> list[str]:
    """Return how the parts of a pattern sound; an asterisk ends those that go on."""
    return [key for part in parts(pattern) if (key := _key(part))]


def _key(part: str) -> str:
    stem = re.split(r"[*?]", part, maxsplit=1)[0]
    if not stem:
        return ""
    return soundex(stem) + ("*" if stem != part else "")
