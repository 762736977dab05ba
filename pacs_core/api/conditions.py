"""Conditions on instances in the configuration of plugins, as ``where = { Modality = "CT" }``.

Conditions are keys of C-FIND (PS3.4 C.2.2.2) and are matched by the kernel's rules for these, on
the attributes that the index keeps.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import Condition, InvalidKeyError, KeyMatching, matches
from pacs_core.dataset import Attributes, UnknownAttribute, Value, keyword_of, tag_of, vr_of

__all__ = ["AttributeTest", "read_test"]

_KEYS: Final = KeyMatching(empty_values=True)
_COMPUTED: Final = {
    tag_of("ModalitiesInStudy"): "Modality",
    tag_of("SOPClassesInStudy"): "SOPClassUID",
}
_COUNTS: Final = frozenset(range(0x0020_1200, 0x0020_120A, 2))
_EMPTY: Final = '""'


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
