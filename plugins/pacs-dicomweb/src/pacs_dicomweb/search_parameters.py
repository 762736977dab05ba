"""Query parameters of searches (PS3.18 §8.3.4), read into keys of the query model.

What is a mistake in a filter is refused, for an answer without it would hold too much: a misspelt
keyword, a value that no attribute of its VR could match, a limit that is no number. What asks for
something that is not there, such as a field that is not kept, is passed over with a warning.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from attrs import define, field, frozen

from pacs_core.contracts import Order
from pacs_core.dataset import MutableAttributes, UnknownAttribute, Value, keyword_of, tag_of, vr_of

ALL: Final = "all"
MAX_PARAMETERS: Final = 4096
MAX_WARNINGS: Final = 10
MOST: Final = 2**53
"""What a limit or offset beyond it is taken for."""

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_KEYWORD: Final = re.compile(r"[A-Z][0-9A-Za-z]*")
_NUMBER: Final = re.compile(r"[0-9]+")
_FLAGS: Final = {"true": True, "false": False}
_FLAG_NAMES: Final = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_ELSEWHERE: Final = frozenset({"accept", "charset"})
"""Parameters that are not about the search itself (§8.3.3)."""
_MOMENTS: Final = {
    "DA": re.compile(r"[0-9]{4}\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12][0-9]|3[01])"),
    "TM": re.compile(r"([01][0-9]|2[0-4])(:?[0-5][0-9](:?([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?"),
}
"""Dates that are in a calendar, and times that a clock shows (PS3.5 Table 6.2-1)."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL: Final = re.compile(
    r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,4})?"
)
_NUMBERS: Final = {
    **dict.fromkeys(("IS", "SL", "SS", "SV", "UL", "US", "UV"), _INTEGER),
    **dict.fromkeys(("DS", "FD", "FL"), _DECIMAL),
}
"""Numbers as they are written, by the VRs of numbers."""
_TIMEZONE: Final = tag_of("TimezoneOffsetFromUTC")
_OFFSET: Final = re.compile(r"[+-][0-9]{4}")


class InvalidParameterError(ValueError):
    """A query parameter is not what it should be: 400; the message says which, and why."""


@frozen
class SearchParameters:
    """What a search asks for.

    Attributes
    ----------
    keys : mapping
        Attributes with their values; an empty one is wanted in the answer, and matches everything.
    included : frozenset of int
        Tags of `includefield`.
    include_all : bool
    fuzzy_names, empty_values, multiple_values : bool
        See :class:`KeyMatching`.
    limit : int or None
    offset : int
    order : tuple of Order
        Of `orderby`, which the standard does not have.
    zone : str
        Timezone Offset From UTC of the keys; empty for none.
    warnings : tuple of str
        What was passed over.
    """

    keys: MutableAttributes = field(factory=dict)
    included: frozenset[int] = frozenset()
    include_all: bool = False
    fuzzy_names: bool = False
    empty_values: bool = False
    multiple_values: bool = False
    limit: int | None = None
    offset: int = 0
    order: tuple[Order, ...] = ()
    zone: str = ""
    warnings: tuple[str, ...] = ()


def read_query(query: str) -> list[tuple[str, str]]:
    """Return the parameters of a query string, decoded, in their order.

    Raises
    ------
    InvalidParameterError
        They are no UTF-8, or too many.
    """
    try:
        return parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except UnicodeDecodeError:
        raise InvalidParameterError("the query is not UTF-8, percent-encoded") from None
    except ValueError:
        raise InvalidParameterError(
            f"the query has more than {MAX_PARAMETERS} parameters"
        ) from None


def read_search(parameters: list[tuple[str, str]]) -> SearchParameters:
    """Read the parameters of a search.

    Raises
    ------
    InvalidParameterError
        One of them makes no sense.
    """
    reading = _Reading()
    for name, value in parameters:
        reading.take(name, value)
    return reading.finish()


@define
class _Reading:
    keys: MutableAttributes = field(factory=dict)
    included: set[int] = field(factory=set)
    include_all: bool = False
    flags: dict[str, bool] = field(factory=dict)
    limit: int | None = None
    offset: int = 0
    order: list[Order] = field(factory=list)
    warnings: list[str] = field(factory=list)

    def take(self, name: str, value: str) -> None:
        """Take a parameter; names of the standard are compared regardless of case."""
        plain = name.strip().lower()
        if plain == "includefield":
            self._include(value)
        elif plain in _FLAG_NAMES:
            self.flags[plain] = _flag(plain, value)
        elif plain == "limit":
            self.limit = _number(plain, value)
        elif plain == "offset":
            self.offset = _number(plain, value)
        elif plain == "orderby":
            self.order += [_order(each.strip()) for each in value.split(",") if each.strip()]
        elif plain not in _ELSEWHERE:
            self._key(name.strip(), value)

    def finish(self) -> SearchParameters:
        """Return what was read."""
        zone = "".join(v for v in self.keys.pop(_TIMEZONE, ()) if isinstance(v, str)).strip()
        # A plus sign that was not percent-encoded has become a space.
        zone = f"+{zone}" if zone and zone[0].isdigit() else zone
        if zone and not _OFFSET.fullmatch(zone):
            raise InvalidParameterError("TimezoneOffsetFromUTC is like +0100 or -0500")
        fuzzy, empty, multiple = (self.flags.get(name, False) for name in _FLAG_NAMES)
        return SearchParameters(
            self.keys,
            frozenset(self.included | ({_TIMEZONE} if zone else set())),
            self.include_all,
            fuzzy,
            empty,
            multiple,
            self.limit,
            self.offset,
            tuple(self.order),
            zone,
            tuple(self.warnings),
        )

    def _include(self, value: str) -> None:
        for each in value.split(","):
            name = each.strip()
            if name.lower() == ALL:
                self.include_all = True
            elif name:
                try:
                    self.included.add(_path(name)[0])
                except InvalidParameterError as error:
                    self._warn(f"includefield: {error}")

    def _key(self, name: str, value: str) -> None:
        first = name.partition(".")[0]
        if not (_TAG.fullmatch(first) or _KEYWORD.fullmatch(first)):
            self._warn(f"the parameter {_shown(name)} is unknown and has been passed over")
            return
        path = _path(name)
        within: MutableAttributes = self.keys
        for tag in path[:-1]:
            items = within.setdefault(tag, ({},))
            if not (items and isinstance(items[0], dict)):
                within[tag] = items = ({},)
            within = items[0]  # type: ignore[assignment]
        last = path[-1]
        if vr_of(last) == "SQ":
            if value:
                raise InvalidParameterError(
                    f"{keyword_of(last)} is a sequence: name an attribute in it, with a dot"
                )
            within.setdefault(last, ())
            return
        # A list of UIDs has commas (§8.3.4.1), and so have lists of modalities that OHIF asks for:
        # no code has one (PS3.5 Table 6.2-1). Within other values a comma is one.
        by_comma = vr_of(last) in ("UI", "CS")
        values = re.split(r"\s*[,\\]\s*", value.strip()) if by_comma else value.split("\\")
        texts: tuple[Value, ...] = tuple(each for each in values if each)
        for each in values:
            _check_moment(last, each)
            _check_number(last, each)
        within[last] = (*within.get(last, ()), *texts)

    def _warn(self, text: str) -> None:
        if text not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)


def _path(name: str) -> list[int]:
    """Return the tags of an attribute, of a sequence first if it is within one."""
    parts = name.split(".")
    if len(parts) > 16:
        raise InvalidParameterError(f"{_shown(name)} nests too deeply")
    path = [_tag(part.strip()) for part in parts]
    for tag in path[:-1]:
        if vr_of(tag) != "SQ":
            raise InvalidParameterError(f"{keyword_of(tag)} is no sequence: nothing is within it")
    return path


def _tag(name: str) -> int:
    if _TAG.fullmatch(name):
        return int(name, 16)
    try:
        return tag_of(name)
    except UnknownAttribute:
        raise InvalidParameterError(
            f"there is no attribute {_shown(name)}: give a keyword of PS3.6, or eight "
            "hexadecimal digits"
        ) from None


def _check_moment(tag: int, text: str) -> None:
    """Refuse a date or time that there is not; what is none at all is refused by the matching."""
    form = _MOMENTS.get(vr_of(tag))
    for bound in map(str.strip, text.split("-")):
        if form and bound[:1].isdecimal() and not form.fullmatch(bound):
            raise InvalidParameterError(f"{keyword_of(tag)}: there is no {_shown(bound)}")


def _check_number(tag: int, text: str) -> None:
    """Refuse what no number could match; all and what is empty may be asked for (C.2.2.2.3, .7)."""
    form, plain = _NUMBERS.get(vr_of(tag)), text.strip()
    if form and plain.strip("*") not in ("", '""') and not form.fullmatch(plain):
        raise InvalidParameterError(f"{keyword_of(tag)}: {_shown(plain)} is no number")


def _shown(name: str) -> str:
    return repr(name[:64])


def _flag(name: str, value: str) -> bool:
    found = _FLAGS.get(value.strip().lower())
    if found is None:
        raise InvalidParameterError(f"{name} is true or false, not {_shown(value)}")
    return found


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value.strip()):
        raise InvalidParameterError(f"{name} is a number from 0, not {_shown(value)}")
    digits = value.strip().lstrip("0") or "0"
    return MOST if len(digits) > 15 else int(digits)


def _order(name: str) -> Order:
    return Order(_path(name.lstrip("+-"))[0], name.startswith("-"))


def accept_of(parameters: list[tuple[str, str]]) -> list[str]:
    """Return the values of the query parameter `accept` (§8.3.3.1)."""
    return [value for name, value in parameters if name.lower() == "accept"]


def first_values(parameters: list[tuple[str, str]]) -> Mapping[str, str]:
    """Return parameters by name in lower case; the first of each counts."""
    found: dict[str, str] = {}
    for name, value in parameters:
        found.setdefault(name.strip().lower(), value)
    return found
