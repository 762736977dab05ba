"""Attribute lists by Table CC.2.5-3 of PS3.4: put right, refused, or found unfinished."""

from collections.abc import Iterator, Sequence
from typing import Final

from pacs_core.api.attribute_lists import first, is_sound, mistyped
from pacs_core.dataset import Attributes, MutableAttributes, Value, items, tag_of
from pacs_core.dimse import Status
from pacs_sop_ups.rules import TERMS, Rule
from pacs_sop_ups.steps import RefusedStepError

_CODE: Final = (tag_of("CodeValue"), tag_of("LongCodeValue"), tag_of("URNCodeValue"))


def settle(
    attributes: MutableAttributes, rules: Sequence[Rule], *, is_creation: bool, strict: bool
) -> None:
    """Put right what may be, in place, and refuse what breaks the rules.

    Raises
    ------
    RefusedStepError
        0106H, 0120H, 0121H.
    """
    absent: list[int] = []
    empty: list[int] = []
    wrong: list[int] = []
    _apply(attributes, rules, is_creation, strict, absent, empty, wrong)
    if absent:
        # N-SET has no 0120H (PS3.7 §10.1.3.1.9).
        status = Status.MISSING_ATTRIBUTE if is_creation else Status.MISSING_ATTRIBUTE_VALUE
        raise RefusedStepError(status, "attributes are missing", absent)
    if empty:
        raise RefusedStepError(
            Status.MISSING_ATTRIBUTE_VALUE, "attributes have no value, and need one", empty
        )
    if wrong:
        raise invalid("values are not what they may be", *wrong)


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
        if kind == "1" and not _has_value(values):
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
        if rule.final in codes and (strict or not rule.is_mild) and not _has_value(values):
            yield rule.tag
        for item in items(attributes, rule.tag):
            yield from unfinished(item, rule.rules, codes, strict=strict)


def refuse_mistyped(attributes: Attributes) -> None:
    """Refuse sequences that have text, and others that have items."""
    if tags := sorted(set(mistyped(attributes))):
        raise invalid("sequences have items, and nothing else has", *tags)


def invalid(comment: str, *tags: int) -> RefusedStepError:
    """Return the refusal of values that are wrong."""
    return RefusedStepError(Status.INVALID_ATTRIBUTE_VALUE, comment, tags)


def _has_value(values: Sequence[object]) -> bool:
    return any(value.strip() if isinstance(value, str) else True for value in values)
