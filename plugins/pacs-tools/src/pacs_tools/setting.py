"""Values that are typed, as elements: set, or appended to those that are there.

How it works: the VR of an attribute is that of PS3.6. Where it allows several, and for private
attributes, the element that is there tells, or what was typed, or else pydicom's table of private
ones. What is appended follows the bytes that are there, which stay; in text that needs another
character set, the declared ones are extended first.
"""

import re
from collections.abc import Iterable
from typing import Final

from attrs import evolve

from pacs_core.api.file_commands import CommandError, UsageError
from pacs_core.dataset import (
    BULK_VRS,
    DataElement,
    ElementSet,
    UnencodableValue,
    decode_text,
    encode_text,
    encode_value,
    extend_character_sets,
    vm_of,
    vr_of,
    vrs_of,
)
from pacs_tools.multiplicity import allows
from pacs_tools.names import private_vr
from pacs_tools.paths import AttributePath, parse_path

Values = tuple[str, ...]
ValuesAt = tuple[AttributePath, Values]

_CHARACTER_SET: Final = 0x0008_0005
_FIRST_PIXELS: Final = 0x7FE0_0008
_NUMBERS: Final = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_SINGLE: Final = frozenset({"LT", "ST", "UR", "UT"})
"""VRs of which a backslash is a part like any other (PS3.5 §6.2)."""

_FORMS: Final = {
    "AE": re.compile(r"[ -\[\]-~]{1,16}"),
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII),
    "CS": re.compile(r"[A-Z0-9_ ]{1,16}"),
    "DA": re.compile(r"\d{8}", re.ASCII),
    "DS": re.compile(r"(?=.{1,16}$)[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
    "IS": re.compile(r"[+-]?\d{1,11}", re.ASCII),
    "DT": re.compile(r"(\d{4}(\d{2}){0,4}|\d{14}(\.\d{1,6})?)([+-]\d{4})?", re.ASCII),
    "LO": re.compile(r".{1,64}"),
    "SH": re.compile(r".{1,16}"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII),
    "UI": re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII),
}


def read_values(pairs: Iterable[str]) -> tuple[ValuesAt, ...]:
    """Return what is typed as ``PATH=VALUE``; backslashes separate values.

    Raises
    ------
    UsageError
        There is no equals sign, no such attribute, or it cannot be set to this.
    """
    found = []
    for pair in pairs:
        text, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair}: write it as KEYWORD=VALUE")
        path, values = _check(parse_path(text), value)
        _check_multiplicity(path, len(values), UsageError)
        found.append((path, values))
    return tuple(found)


def read_appended(pairs: Iterable[str]) -> tuple[ValuesAt, ...]:
    """Return what is typed as ``PATH=VALUE``, or as the ``PATH`` of a sequence for an item.

    Raises
    ------
    UsageError
        There is no such attribute, or it cannot have such a value.
    """
    found = []
    for pair in pairs:
        text, equals, value = pair.partition("=")
        path = parse_path(text)
        vr = path.attribute.vr or vr_of(path.attribute.tag)
        # The VR of a private attribute may be known only where the file is.
        if vr != "UN" and (vr == "SQ") == bool(equals):
            how = "an item, so write SEQUENCE alone" if vr == "SQ" else "a value: KEYWORD=VALUE"
            raise UsageError(f"{pair}: what is appended is {how}")
        if vr in _SINGLE:
            raise UsageError(f"{text} has a single value always, as its VR is {vr}")
        found.append(_check(path, value))
    return tuple(found)


def _check(path: AttributePath, value: str) -> ValuesAt:
    """Check that an attribute can be set, and to this (PS3.5 §6.2)."""
    tag = path.attribute.tag
    if tag == _CHARACTER_SET or not tag & 0xFFFF or tag >> 16 in {0, 2} or tag >= _FIRST_PIXELS:
        raise UsageError(f"{path.text} cannot be set: it follows from the rest")
    vr = path.attribute.vr or vr_of(tag)
    values = _split(vr, value)
    if problem := _problem(vr, values):
        raise UsageError(f"{path.text}: {problem}")
    return path, values


def _split(vr: str, value: str) -> Values:
    if not value:
        return ()
    return (value,) if vr in _SINGLE else tuple(value.split("\\"))


def _problem(vr: str, values: Values) -> str:
    form = _FORMS.get(vr)
    wrong = (value for value in values if form and value and not form.fullmatch(value))
    return next((f"{value[:80]!r} is no value of VR {vr}" for value in wrong), "")


def _check_multiplicity(path: AttributePath, count: int, error: type[Exception]) -> None:
    multiplicity = vm_of(path.attribute.tag)
    if count and not allows(multiplicity, count):
        number = f"{count} value{'' if count == 1 else 's'}"
        raise error(f"{path.text} would have {number}; PS3.6 gives it {multiplicity}")


def declare(elements: ElementSet, path: AttributePath, tag: int, values: Values) -> ElementSet:
    """Return elements whose Specific Character Set expresses further text, if it can be extended.

    What they have keeps its bytes, and its meaning.
    """
    declared = elements.texts(_CHARACTER_SET)
    vr = _vr(elements, path, tag)
    sets = extend_character_sets(declared, [(vr, text) for text in values])
    if sets == declared:
        return elements
    raw = "\\".join(sets).encode("ascii")
    element = DataElement(_CHARACTER_SET, "CS", raw + b" " * (len(raw) & 1))
    return ElementSet({**elements.elements, _CHARACTER_SET: element}, sets)


def set_values(within: ElementSet, path: AttributePath, tag: int, values: Values) -> ElementSet:
    """Return a dataset or item with an attribute set.

    Raises
    ------
    CommandError
        It cannot have these values.
    """
    vr = _vr(within, path, tag)
    if vr in _SINGLE and values:
        values = ("\\".join(values),)
    return _put(within, path, _element(within, path, tag, vr, values))


def append_values(within: ElementSet, path: AttributePath, tag: int, values: Values) -> ElementSet:
    """Return a dataset or item with values after those of an attribute, or an item in a sequence.

    Raises
    ------
    CommandError
        It cannot have these values, or no more.
    """
    vr, known = _vr(within, path, tag), within.elements.get(tag)
    if vr == "SQ":
        items = known.items if known is not None else ()
        empty = ElementSet({}, within.character_sets)
        return _put(within, path, DataElement(tag, "SQ", (*items, empty)))
    if not values:
        return within
    if vr in _SINGLE:
        raise CommandError(f"{path.text} has a single value always, as its VR is {vr}")
    made = _element(within, path, tag, vr, values)
    before = b""
    if known is not None:
        if not isinstance(known.value, bytes) or known.vr != vr:
            raise CommandError(
                f"{path.text}: its value of VR {known.vr} is none to which {vr} can be appended"
            )
        before = known.value
    count = len(within.texts(tag)) + len(values)
    _check_multiplicity(path, count, CommandError)
    if vr not in _NUMBERS:
        before = before.rstrip(b" \0")
        before += b"\\" if before else b""
    raw = before + bytes(made.value if isinstance(made.value, bytes) else b"")
    if vr not in _NUMBERS and len(raw) & 1:
        # The padding of what is appended fits no more, or is needed now.
        raw = raw[:-1] if raw[-1:] in {b" ", b"\0"} else raw + (b"\0" if vr == "UI" else b" ")
    return _put(within, path, DataElement(tag, vr, raw))


def _vr(within: ElementSet, path: AttributePath, tag: int) -> str:
    """Return the VR that an element is to have."""
    known = within.elements.get(tag)
    if not tag >> 16 & 1 or tag & 0xFFFF <= 0xFF:
        allowed = vrs_of(tag)
        return known.vr if known is not None and known.vr in allowed else allowed[0]
    if path.attribute.vr:
        return path.attribute.vr
    if known is not None and known.vr != "UN":
        return known.vr
    creator = path.attribute.creator or within.private_creator(tag)
    if not creator:
        raise CommandError(
            f"{path.text}: nobody has reserved its block: write it as "
            f"{tag >> 16:04X},[CREATOR],{tag & 0xFF:02X}"
        )
    if vr := private_vr(creator, tag):
        return vr
    raise CommandError(f"{path.text}: its VR is not known: say it, as in {path.text}:LO")


def _element(
    within: ElementSet, path: AttributePath, tag: int, vr: str, values: Values
) -> DataElement:
    if vr == "SQ" or vr in BULK_VRS:
        if values:
            raise CommandError(f"{path.text}: VR {vr} takes no such value")
        return DataElement(tag, vr, () if vr == "SQ" else b"")
    if problem := _problem(vr, values):
        raise CommandError(f"{path.text}: {problem}")
    sets = within.character_sets
    # Pixel Representation tells which of US and SS it is; what does not fit one may fit the other.
    tried = dict.fromkeys([vr, *(other for other in vrs_of(tag) if vr in _NUMBERS)])
    failure = None
    for each in (each for each in tried if each not in BULK_VRS):
        try:
            raw = encode_value(each, values, sets)
        except UnencodableValue as error:
            failure = failure or error
            continue
        text = "\\".join(values)
        if each not in _NUMBERS and decode_text(encode_text(text, each, sets), each, sets) != text:
            what = f"{sets[0] if sets else 'ASCII'}, the character set of the dataset"
            raise CommandError(f"{path.text}: {what}, has not all of it")
        return DataElement(tag, each, raw)
    raise CommandError(f"{path.text}: {failure}") from failure


def _put(within: ElementSet, path: AttributePath, element: DataElement) -> ElementSet:
    """Return elements with one more, and with its block reserved if it is private."""
    made = {**within.elements, element.tag: element}
    reserving = element.tag >> 16 << 16 | element.tag >> 8 & 0xFF
    if path.attribute.creator and reserving not in made:
        raw = path.attribute.creator.encode("ascii")
        made[reserving] = DataElement(reserving, "LO", raw + b" " * (len(raw) & 1))
    return evolve(within, elements=made)
