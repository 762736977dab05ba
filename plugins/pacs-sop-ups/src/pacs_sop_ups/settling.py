"""Attribute lists by Table CC.2.5-3 of PS3.4: put right, refused, or found unfinished."""

from collections.abc import Iterator, Sequence
from typing import Final

from pacs_core.api.attribute_lists import first, has_value, is_sound
from pacs_core.api.normalized import RefusedRequestError, invalid_values
from pacs_core.dataset import Attributes, MutableAttributes, Value, items, tag_of
from pacs_core.dimse import Status
from pacs_sop_ups.rules import TERMS, Rule

_CODE: Final = (tag_of("CodeValue"), tag_of("LongCodeValue"), tag_of("URNCodeValue"))


def settle(
    attributes: MutableAttributes, rules: Sequence[Rule], *, is_creation: bool, strict: bool
) -> None:
    """Put right what may be, in place, and refuse what breaks the rules.

    Raises
    ------
    RefusedRequestError
        0106H, 0120H, 0121H.
    """
    absent: list[int] = []
    empty: list[int] = []
    wrong: list[int] = []
    _apply(attributes, rules, is_creation, strict, absent, empty, wrong)
    if absent:
        # N-SET has no 0120H (PS3.7 §10.1.3.1.9).
        status = Status.MISSING_ATTRIBUTE if is_creation else Status.MISSING_ATTRIBUTE_VALUE
        raise RefusedRequestError(status, "attributes are missing", absent)
    if empty:
        raise RefusedRequestError(
            Status.MISSING_ATTRIBUTE_VALUE, "attributes have no value, and need one", empty
        )
    if wrong:
        raise invalid_values("values are not what they may be", *wrong)


def _apply(
    attributes: MutableAttributes,
    rules: Sequence[Rule],
    is_creation: bool,
    strict: bool,
    absent: list[int],
    empty: list[int],
    wrong: list[int],
) -> None:
    for rule in rules:
        kind = rule.create if is_creation else rule.change
        values = attributes.get(rule.tag)
        if values is None:
            if kind == rule.create == "1":
                absent.append(rule.tag)
            elif kind in "02" and is_creation:
                if strict:
                    absent.append(rule.tag)
                attributes[rule.tag] = ()
            continue
        if kind == "1" and not has_value(values):
            empty.append(rule.tag)
        terms = TERMS.get(rule.tag)
        if not all(is_sound(rule.vr, v) and (terms is None or v in terms) for v in values if v):
            wrong.append(rule.tag)
        made: list[Value] = []
        for value in values:
            if isinstance(value, str):
                made.append(value)
                continue
            if rule.is_code and not any(first(value, tag) for tag in _CODE):
                empty.append(_CODE[0])
            item = dict(value)
            _apply(item, rule.rules, is_creation, strict, absent, empty, wrong)
            made.append(item)
        attributes[rule.tag] = tuple(made)


def unfinished(
    attributes: Attributes, rules: Sequence[Rule], codes: str, *, strict: bool
) -> Iterator[int]:
    """Iterate over what an end demands and is not there.

    Parameters
    ----------
    attributes : Attributes
    rules : sequence of Rule
    codes : str
        Of the demands of the final state that count.
    strict : bool
    """
    for rule in rules:
        values = attributes.get(rule.tag, ())
        if rule.final in codes and (strict or not rule.is_mild) and not has_value(values):
            yield rule.tag
        for item in items(attributes, rule.tag):
            yield from unfinished(item, rule.rules, codes, strict=strict)
