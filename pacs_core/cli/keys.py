"""Query keys as they are typed: ``KEYWORD=VALUE``, with dots into sequences."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pacs_core.cli.errors import UsageError
from pacs_core.dataset import (
    Attributes,
    MutableAttributes,
    UnknownAttribute,
    keyword_of,
    tag_of,
    vr_of,
)
from pacs_core.query.model import Condition, Empty, SingleValue

Level = Literal["patient", "study", "series", "image"]
Root = Literal["patient", "study"]

QUERY_RETRIEVE_LEVEL = 0x0008_0052
_ISSUER = 0x0010_0021
UNIQUE_KEYS: dict[Level, int] = {
    "image": 0x0008_0018,
    "series": 0x0020_000E,
    "study": 0x0020_000D,
    "patient": 0x0010_0020,
}
"""The unique key of each level, the deepest first (PS3.4 C.6.1.1)."""


def patient_conditions(name: str) -> tuple[Condition, ...]:
    """Return the conditions for a patient as conflicts name one: ``ID``, or ``ID^^^ISSUER``."""
    patient_id, _, issuer = name.partition("^^^")
    keys = ((UNIQUE_KEYS["patient"], patient_id), (_ISSUER, issuer))
    return tuple(SingleValue(tag, text) if text else Empty(tag) for tag, text in keys)


def parse_keys(typed: Iterable[str]) -> Attributes:
    """Return the identifier that keys make.

    Parameters
    ----------
    typed : iterable of str
        ``PatientName=DOE*``, ``Modality`` (without a value: to be returned),
        ``RequestAttributesSequence.ScheduledProcedureStepID=7``. A backslash separates values.

    Raises
    ------
    UsageError
        A keyword is unknown, or has no sequence before its dot.
    """
    identifier: MutableAttributes = {}
    for key in typed:
        path, _, value = key.partition("=")
        tags = [_tag(key, name.strip()) for name in path.split(".")]
        _put(identifier, tags, tuple(value.split("\\")) if value else ())
    return identifier


def _tag(key: str, name: str) -> int:
    if not name:
        raise UsageError(f"key {key!r}: write KEYWORD, KEYWORD=VALUE or SEQUENCE.KEYWORD=VALUE")
    try:
        return tag_of(name)
    except UnknownAttribute as error:
        raise UsageError(f"key {key!r}: {error}") from error


def _put(identifier: MutableAttributes, tags: Sequence[int], values: tuple[str, ...]) -> None:
    target = identifier
    for tag in tags[:-1]:
        if vr_of(tag) != "SQ":
            raise UsageError(f"{keyword_of(tag)} is no sequence: nothing can come after its dot")
        item = dict(next(iter(target.get(tag, ())), {}))  # type: ignore[arg-type]
        target[tag] = (item,)
        target = item
    last = tags[-1]
    if values and vr_of(last) == "SQ":
        raise UsageError(f"{keyword_of(last)} is a sequence: write {keyword_of(last)}.KEYWORD=...")
    target.setdefault(last, values) if not values else target.update({last: values})


def deepest_level(identifier: Attributes) -> Level | None:
    """Return the level of the deepest unique key that has a value."""
    return next((level for level, tag in UNIQUE_KEYS.items() if identifier.get(tag)), None)


def hint_above(level: Level, root: Root | None, identifier: Attributes) -> str:
    """Return which unique keys above a level a peer may miss (PS3.4 C.4.1.2.2.1); or nothing."""
    levels = list(UNIQUE_KEYS)
    above = levels[levels.index(level) + 1 : None if root == "patient" else -1]
    missing = [
        keyword_of(UNIQUE_KEYS[each]) for each in above if not identifier.get(UNIQUE_KEYS[each])
    ]
    if not missing:
        return ""
    options = " ".join(f"-k {keyword}=..." for keyword in reversed(missing))
    return f"many peers answer at level {level} only with {options}"


def at_level(level: Level, identifier: Attributes) -> Attributes:
    """Return an identifier with its Query/Retrieve Level."""
    return {**identifier, QUERY_RETRIEVE_LEVEL: (level.upper(),)}
