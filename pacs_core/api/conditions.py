"""Conditions on instances in the configuration of plugins, as ``where = { Modality = "CT" }``.

Conditions are keys of C-FIND (PS3.4 C.2.2.2) and are matched by the kernel's rules for these, on
the attributes that the index keeps. Who handed an instance to the archive is no attribute of it:
for that there are conditions of their own, on what the index keeps of its :class:`Origin`.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from attrs import field, frozen
from attrs.validators import deep_iterable, instance_of, min_len

from pacs_core.contracts import (
    Archive,
    Condition,
    InstanceNotFoundError,
    InvalidKeyError,
    KeyMatching,
    NotOnlineError,
    Origin,
    StoredInstance,
    matches,
    wildcard_pattern,
)
from pacs_core.dataset import (
    Attributes,
    NotPart10,
    UnknownAttribute,
    Value,
    keyword_of,
    read_file_meta,
    tag_of,
    vr_of,
)

__all__ = ["AttributeTest", "OriginConditions", "find_origin", "read_test"]

_KEYS: Final = KeyMatching(empty_values=True)
_COMPUTED: Final = {
    tag_of("ModalitiesInStudy"): "Modality",
    tag_of("SOPClassesInStudy"): "SOPClassUID",
}
_COUNTS: Final = frozenset(range(0x0020_1200, 0x0020_120A, 2))
_EMPTY: Final = '""'
_BEYOND: Final = 16
"""Bytes of the dataset by which the File Meta Information is seen to have ended."""


@frozen
class AttributeTest:
    """One condition of a rule.

    Attributes
    ----------
    text : str
        As the rule has it.
    tag : int
    conditions : tuple of Condition
        Of which all hold.
    """

    text: str
    tag: int
    conditions: tuple[Condition, ...]

    def holds(self, attributes: Attributes) -> bool:
        """Tell whether it holds for an instance."""
        return all(matches(each, attributes) for each in self.conditions)


_PATTERNS: Final = deep_iterable(min_len(1), instance_of(tuple))


@frozen(kw_only=True)
class OriginConditions:
    """Conditions on who handed an instance to the archive; a rule's config class derives from it.

    Of each key one value is enough, wild cards are allowed, and no values mean any.

    Attributes
    ----------
    sources : tuple of str
        AE titles that sent the instance: as Calling AE title of the association.
    called : tuple of str
        AE titles to which it was sent: as Called AE title.
    users : tuple of str
        Principals that sent it, as the node has authenticated them.
    interfaces : tuple of str
        Doors by which it came: ``"DIMSE"``, ``"HTTP"``, ``"import"``, or as a plugin calls its own.
    """

    sources: tuple[str, ...] = field(default=(), validator=_PATTERNS)
    called: tuple[str, ...] = field(default=(), validator=_PATTERNS)
    users: tuple[str, ...] = field(default=(), validator=_PATTERNS)
    interfaces: tuple[str, ...] = field(default=(), validator=_PATTERNS)

    @property
    def ask_for_origin(self) -> bool:
        """Whether there are any."""
        return bool(self.sources or self.called or self.users or self.interfaces)

    def take_from(self, origin: Origin) -> bool:
        """Tell whether all of them hold."""
        return all(is_met for _, _, is_met in self.judge(origin))

    def judge(self, origin: Origin) -> Iterator[tuple[str, str, bool]]:
        """Iterate over the conditions: as the rule has each, what was found, whether it holds."""
        for key, found in (
            ("sources", origin.calling_ae_title),
            ("called", origin.called_ae_title),
            ("users", origin.user),
            ("interfaces", origin.interface),
        ):
            if patterns := getattr(self, key):
                is_met = any(wildcard_pattern(each).fullmatch(found) for each in patterns)
                yield f"{key} {', '.join(patterns)}", found, is_met


async def find_origin(archive: Archive, instance: StoredInstance) -> Origin | None:
    """Return who handed an instance to the archive; None if it is gone.

    Where the index does not know, the object is asked: its File Meta Information has AE titles
    (PS3.10 Table 7.1-1).
    """
    if instance.origin is not None:
        return instance.origin
    try:
        async with await archive.open(instance) as reader:
            meta = read_file_meta(await reader.read(0, instance.dataset_offset + _BEYOND))
    except InstanceNotFoundError:
        return None
    except (NotPart10, NotOnlineError):
        return Origin("")
    return Origin("", meta.sending_ae_title, meta.receiving_ae_title)


def read_test(key: str, value: object) -> AttributeTest:
    """Return the condition that an entry of a table states.

    Parameters
    ----------
    key : str
        Keyword, or the digits of a tag.
    value : object
        As in a query: wild cards, ranges of dates and times, ``""`` for what is empty or absent; of
        a list one value is enough; a table for a sequence.

    Raises
    ------
    ValueError
        It states none; says why.
    """
    try:
        tag = tag_of(key)
    except UnknownAttribute as error:
        raise ValueError(str(error)) from error
    if tag in _COMPUTED:
        raise ValueError(f"it is worked out by the index: name {_COMPUTED[tag]} instead")
    if tag in _COUNTS:
        raise ValueError("it is counted by the index, and cannot be a condition")
    try:
        found = _KEYS.conditions({tag: _values(tag, value)}, (tag,))
    except InvalidKeyError as error:
        raise ValueError(error.comment) from error
    if not found:
        raise ValueError("it matches everything: leave it out")
    return AttributeTest(f"{keyword_of(tag) or key} = {_shown(value)}", tag, tuple(found))


def _values(tag: int, value: object) -> tuple[Value, ...]:
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("an empty list matches nothing")
        return tuple(each for item in value for each in _values(tag, item))
    if isinstance(value, Mapping) and vr_of(tag) == "SQ":
        return (_item(value),)
    if isinstance(value, bool | datetime) or not isinstance(value, str | int | float | date):
        raise ValueError(f"expected a text or a list of them, found {value!r}")  # noqa: TRY004
    if isinstance(value, date):
        return (value.strftime("%Y%m%d"),)
    return (str(value) or _EMPTY,)


def _item(table: Mapping[str, Any]) -> Attributes:
    item = {}
    for key, value in table.items():
        try:
            tag = tag_of(key)
        except UnknownAttribute as error:
            raise ValueError(str(error)) from error
        item[tag] = _values(tag, value)
    return item


def _shown(value: object) -> str:
    values = value if isinstance(value, list | tuple) else (value,)
    return " or ".join(str(each) or "nothing" for each in values)
