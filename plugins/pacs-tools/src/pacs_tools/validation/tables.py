"""Tables of PS3.3: modules of each IOD, attributes of each module, conditions, enumerated values.

``tables/derive_iods.py`` makes them. They are read as far as they are asked for.
"""

import json
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from attrs import frozen

EDITION: Final = "PS3.3 as of highdicom 0.28, conditions and enumerated values of 2020"


@frozen
class Row:
    """An attribute of a module, or of an item (PS3.5 §7.4).

    Attributes
    ----------
    tag : int
    type : str
        "1", "1C", "2", "2C", "3"; "None" where the standard has none.
    items : int
        Number of the attributes of its items; 0 if it is no sequence.
    most_items : int
        How many items it may have; 0 if any number.
    condition : int
        Number of the condition; 0 if none is known.
    enumeration : int
        Number of the enumerated values; 0 if none are known.
    """

    tag: int
    type: str
    items: int = 0
    most_items: int = 0
    condition: int = 0
    enumeration: int = 0


@frozen
class Condition:
    """When an attribute, or a module, is required.

    Attributes
    ----------
    kind : str
        "MN": required if it is true, else not allowed. "MU": required if it is true, else allowed.
        "NU": not allowed if it is true.
    expression : list
        An operator, and operands for "and" and "or", else tag, number of the value, and values.
    """

    kind: str
    expression: list[Any]


@frozen
class Enumeration:
    """The values that one value of an attribute may have.

    Attributes
    ----------
    number : int
        Which value, from 1; 0 for each.
    condition : int
        When this list applies; 0 for always.
    values : tuple of str
    """

    number: int
    condition: int
    values: tuple[str, ...]


@frozen
class Module:
    """A module of an IOD (PS3.3 A.1.2.1).

    Attributes
    ----------
    key, name : str
    usage : str
        "M", "C" or "U".
    condition : int
    attributes : int
        Number of its attributes.
    """

    key: str
    name: str
    usage: str
    condition: int
    attributes: int


@frozen
class Iod:
    """An Information Object Definition.

    Attributes
    ----------
    name : str
    modules : tuple of Module
    groups : tuple of int
        Tags of the functional groups that each frame has, or all share.
    """

    name: str
    modules: tuple[Module, ...]
    groups: tuple[int, ...]


def find_iod(sop_class_uid: str) -> Iod | None:
    """Return the IOD of a SOP class; None if these tables do not have it."""
    cells = _iods().get(sop_class_uid)
    if cells is None:
        return None
    name, modules, *groups = cells
    return Iod(
        name,
        tuple(_module(each) for each in modules.split(",")),
        tuple(int(tag, 16) for tag in groups[0].split(",")) if groups else (),
    )


@cache
def attributes_of(number: int) -> dict[int, Row]:
    """Return the attributes of a module, or of the items of a sequence, by tag."""
    return {row.tag: row for row in map(_row, _attributes()[number])}


@cache
def condition_of(number: int) -> Condition:
    """Return a condition."""
    kind, expression = _conditions()[number]
    return Condition(kind, json.loads(expression))


@cache
def enumerations_of(number: int) -> tuple[Enumeration, ...]:
    """Return the lists of values that an attribute may have."""
    (text,) = _enumerations()[number]
    return tuple(
        Enumeration(which, condition or 0, tuple(values))
        for which, condition, *values in json.loads(text)
    )


def _module(text: str) -> Module:
    key, usage, condition = f"{text}::".split(":")[:3]
    name, attributes = _modules()[key]
    return Module(key, name, usage, int(condition or 0), int(attributes))


def _row(line: str) -> Row:
    tag, kind, *numbers = line.split("\t")
    return Row(int(tag, 16), kind, *(int(number or 0) for number in numbers))


def _lines(name: str) -> Iterator[str]:
    text = pkgutil.get_data(__package__, f"data/{name}") or b""
    return (line for line in text.decode().splitlines() if line and line[0] != "#")


@cache
def _attributes() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for line in _lines("attributes.tsv"):
        if line[0] == "@":
            rows = found.setdefault(int(line[1:]), [])
        else:
            rows.append(line)
    return found


@cache
def _iods() -> dict[str, list[str]]:
    return {key: rest for key, *rest in _split("iods.tsv")}


@cache
def _modules() -> dict[str, list[str]]:
    return {key: rest for key, *rest in _split("modules.tsv")}


@cache
def _conditions() -> dict[int, list[str]]:
    return {int(key): rest for key, *rest in _split("conditions.tsv")}


@cache
def _enumerations() -> dict[int, list[str]]:
    return {int(key): rest for key, *rest in _split("enumerations.tsv")}


def _split(name: str) -> Iterator[list[str]]:
    return (line.split("\t") for line in _lines(name))
