"""Keys of C-FIND, of filters and of commands, as conditions on steps (PS3.4 CC.2.8.1, CC.2.3.2)."""

from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import Condition, KeyMatching
from pacs_core.dataset import Attributes, MutableAttributes, tag_of
from pacs_sop_ups.steps import CHARACTER_SET, TRANSACTION

_MATCHING: Final = KeyMatching()
_UNMATCHED: Final = frozenset(
    {CHARACTER_SET, TRANSACTION, tag_of("CodeMeaning"), tag_of("CodingSchemeVersion")}
)


def conditions_of(keys: Attributes) -> tuple[Condition, ...]:
    """Return what keys demand of a step; a Transaction UID is no key (CC.2.8.1.3).

    Nor are the meaning of a code and the version of its scheme (Table CC.2.5-2a).

    Raises
    ------
    InvalidKeyError
    """
    matched = _without_unmatched(keys)
    return _MATCHING.conditions(matched, matched)


def _without_unmatched(keys: Attributes) -> Attributes:
    return {
        tag: tuple(v if isinstance(v, str) else _without_unmatched(v) for v in values)
        for tag, values in keys.items()
        if tag not in _UNMATCHED
    }


def read_keys(pairs: Iterable[tuple[str, str]]) -> MutableAttributes:
    """Return keys that were given by keyword, or tag, of the attribute: ``PatientID``.

    Those of items are joined to their sequence by points, as in PS3.18 8.3.4.1:
    ``ScheduledStationNameCodeSequence.CodeValue``.

    Raises
    ------
    ValueError
        One is no attribute, or no sequence; says which.
    """
    keys: MutableAttributes = {}
    for path, value in pairs:
        *sequences, last = [_tag(word) for word in path.split(".")]
        inside = keys
        for tag in sequences:
            item = next(iter(inside.setdefault(tag, ({},))), None)
            if not isinstance(item, dict):
                raise ValueError(f"{path[:80]!r} is named twice")  # noqa: TRY004
            inside = item
        inside[last] = (value,) if value else ()
    return keys


def _tag(word: str) -> int:
    if len(word) == 8 and all(c in "0123456789abcdefABCDEF" for c in word):
        return int(word, 16)
    try:
        return tag_of(word)
    except LookupError as error:
        raise ValueError(f"{word[:80]!r} is no keyword of an attribute") from error
