"""Checks of a dataset against its IOD: modules, Types, conditions, items, enumerated values.

PS3.3 Annexes A and C, PS3.5 §7.4.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from attrs import define

from pacs_core.dataset import DataElement, ElementSet, keyword_of, tag_of
from pacs_tools.validation.conditions import Scope, describe, holds
from pacs_tools.validation.findings import ERROR, WARNING, Findings
from pacs_tools.validation.further import further_condition
from pacs_tools.validation.tables import (
    Iod,
    Module,
    Row,
    attributes_of,
    condition_of,
    enumerations_of,
)

# Theory of operation
#
# Modules overlap: many have attributes that others of the same IOD have too, with another Type. So
# what the standard says of an attribute is a list, one entry for each module that applies, and
# likewise for items of sequences; it is missing if one entry requires it, and must not be there
# only if none allows it.
#
# Which modules of a dataset are there is not written in it. Mandatory ones are; conditional ones
# whose condition is true are; any other counts as being there as soon as the dataset has an
# attribute that only it explains.

Entry: TypeAlias = tuple[str, Row]
"""Name of a module, and what it says of an attribute."""

_GROUPS: Final = frozenset({0x5200_9229, 0x5200_9230})
_PER_FRAME: Final = 0x5200_9230
_NOT_IN_IODS: Final = frozenset({0xFFFC_FFFC, 0xFFFA_FFFA, 0x0400_0500})
_CONTENT: Final = tag_of("ContentSequence")
_NUMBER_OF_FRAMES: Final = tag_of("NumberOfFrames")
_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")


def check_iod(elements: ElementSet, iod: Iod, findings: Findings) -> None:
    """Note what of a dataset is not as its IOD says."""
    scope = Scope((elements,))
    present = tuple(_present(iod, scope))
    entries: dict[int, list[Entry]] = {}
    for module in present:
        for tag, row in attributes_of(module.attributes).items():
            entries.setdefault(tag, []).append((module.name, row))
    checker = _Checker(findings, iod)
    checker.check(scope, entries)
    for tag in iod.groups:
        _check_group(elements, tag, findings)
    _check_frames(elements, findings)


def _present(iod: Iod, scope: Scope) -> Iterable[Module]:
    """Iterate over the modules that a dataset has, or has to have."""
    required = [module for module in iod.modules if _is_required(module, scope)]
    explained = {tag for module in required for tag in attributes_of(module.attributes)}
    for module in iod.modules:
        own = attributes_of(module.attributes).keys() - explained
        if module in required or not own.isdisjoint(scope.elements.elements):
            yield module


def _is_required(module: Module, scope: Scope) -> bool:
    if module.usage == "C" and module.condition:
        condition = condition_of(module.condition)
        return condition.kind != "NU" and holds(condition.expression, scope)
    return module.usage == "M"


def _check_group(elements: ElementSet, tag: int, findings: Findings) -> None:
    """Note a mandatory functional group that frames do not have (PS3.3 C.7.6.16)."""
    shared = elements.elements.get(0x5200_9229)
    frames = elements.elements.get(_PER_FRAME)
    if shared is not None and any(tag in item.elements for item in shared.items):
        return
    if frames is None or not frames.items or any(tag not in f.elements for f in frames.items):
        findings.add(
            ERROR, "module", (_PER_FRAME,),
            f"{keyword_of(tag)} is in neither the shared nor each frame's functional groups, but "
            "mandatory in this IOD", "PS3.3 C.7.6.16",
        )  # fmt: skip


def _check_frames(elements: ElementSet, findings: Findings) -> None:
    """Note functional groups that are not one for each frame (PS3.3 C.7.6.16)."""
    frames = elements.elements.get(_PER_FRAME)
    number = "".join(elements.texts(_NUMBER_OF_FRAMES)[:1])
    if frames is None or not number.isdecimal() or len(number) > 12:
        return
    if len(frames.items) != int(number):
        text = f"has {len(frames.items)} items, but there are {number} frames"
        findings.add(ERROR, "module", (_PER_FRAME,), text, "PS3.3 C.7.6.16")


@define
class _Checker:
    """Goes through a dataset beside what its modules say of it."""

    findings: Findings
    iod: Iod

    def check(self, scope: Scope, entries: dict[int, list[Entry]]) -> None:
        # Nesting is limited by the reader, far below the depth of Python's calls.
        optional = len(scope.path) == 2 and scope.path[0] in _GROUPS
        for tag, said in entries.items():
            element = scope.elements.elements.get(tag)
            if element is None:
                if not optional:
                    self._check_absent(tag, said, scope)
            else:
                self._check_present(element, said, scope)
        for element in scope.elements:
            self._check_known(element.tag, entries, scope)

    def _check_absent(self, tag: int, said: list[Entry], scope: Scope) -> None:
        for name, row in said:
            why = self._why_required(name, row, scope)
            if why is not None:
                text = f"is absent, but Type {row.type} in {name}{why}"
                self.findings.add(ERROR, "type", (*scope.path, tag), text, "PS3.5 §7.4")
                return

    def _why_required(self, module: str, row: Row, scope: Scope) -> str | None:
        if row.type in {"1", "2"}:
            return ""
        if row.type not in {"1C", "2C"}:
            return None
        if row.condition:
            condition = condition_of(row.condition)
            expression = [] if condition.kind == "NU" else condition.expression
        else:
            expression = self._further(module, row)
        return (
            f", since {describe(expression)}" if expression and holds(expression, scope) else None
        )

    def _further(self, module: str, row: Row) -> list[Any]:
        found = further_condition(module, row.tag)
        if found is None or any(
            each.name == found.unless and each.usage == "M" for each in self.iod.modules
        ):
            return []
        return found.expression

    def _check_present(self, element: DataElement, said: list[Entry], scope: Scope) -> None:
        path = (*scope.path, element.tag)
        if not element.value:
            for name, row in said:
                if row.type in {"1", "1C"}:
                    text = f"is empty, but Type {row.type} in {name}"
                    self.findings.add(ERROR, "type", path, text, "PS3.5 §7.4")
                    break
        refusals = [why for _, row in said if (why := self._why_forbidden(row, scope))]
        if refusals and len(refusals) == len(said):
            text = f"must be absent in {said[0][0]}, since {refusals[0]}"
            self.findings.add(ERROR, "type", path, text, "PS3.5 §7.4")
        for _, row in said:
            if row.enumeration:
                self._check_enumeration(element, row, scope)
        if element.vr == "SQ":
            self._check_items(element, said, scope)

    def _why_forbidden(self, row: Row, scope: Scope) -> str:
        if not row.condition:
            return ""
        condition = condition_of(row.condition)
        true = holds(condition.expression, scope)
        if condition.kind == "NU" and true:
            return describe(condition.expression)
        if condition.kind == "MN" and not true and row.type in {"1C", "2C"}:
            return f"that is only for where {describe(condition.expression)}"
        return ""

    def _check_enumeration(self, element: DataElement, row: Row, scope: Scope) -> None:
        values = scope.elements.texts(element.tag)
        for each in enumerations_of(row.enumeration):
            if each.condition and not holds(condition_of(each.condition).expression, scope):
                continue
            chosen = values[each.number - 1 : each.number] if each.number else values
            wrong = [value for value in chosen if value and value not in each.values]
            if wrong:
                which = f"value {each.number} " if each.number else ""
                text = f"{which}is {wrong[0][:32]!r}, not {_list(each.values)}"
                path = (*scope.path, element.tag)
                self.findings.add(ERROR, "value", path, text, "PS3.3 Annex C")
                return

    def _check_items(self, element: DataElement, said: list[Entry], scope: Scope) -> None:
        path, items = (*scope.path, element.tag), element.items
        if len(items) > 1 and any(row.most_items == 1 for _, row in said):
            text = f"has {len(items)} items, but may have one only"
            self.findings.add(ERROR, "type", path, text, "PS3.3 Annex C")
        below: dict[int, list[Entry]] = {}
        for name, row in said:
            if row.items:
                for tag, inner in attributes_of(row.items).items():
                    below.setdefault(tag, []).append((name, inner))
        if element.tag == _CONTENT:
            # Content items are in content items, to any depth (PS3.3 C.17.3.2.4).
            below.setdefault(_CONTENT, said)
        if below:
            for number, item in enumerate(items):
                self.check(scope.enter(element.tag, number, item), below)

    def _check_known(self, tag: int, entries: dict[int, list[Entry]], scope: Scope) -> None:
        group = tag >> 16
        # Overlays and curves repeat with their groups (PS3.5 §7.6).
        base = 0x6000_0000 | tag & 0xFFFF if 0x6000 <= group <= 0x60FF else tag
        if group & 1 or base in entries or tag in _NOT_IN_IODS or tag == _CHARACTER_SET:
            return
        text = "is not in this IOD" if not scope.path else "is not among the attributes of the item"
        self.findings.add(WARNING, "module", (*scope.path, tag), text, "PS3.2 §3.11")


def _list(values: tuple[str, ...]) -> str:
    return f"one of {', '.join(values)}" if len(values) > 1 else values[0]
