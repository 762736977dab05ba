"""Media types and their negotiation (RFC 9110 §12.5.1, PS3.18 §8.7).

An Accept header names ranges of media types. Each representation that a resource has is held
against them: the most specific range that it is in says its quality, and the best wins; of equals
the first that the resource names. What is no media range is passed over: whoever sends nothing
else accepts nothing (406), and is not told that the request was malformed.

DICOM adds two things. A multipart type names the type of its parts, `multipart/related;
type="application/dicom"`; a slash is seen without quotation marks, too. And a type may name a
transfer syntax, for which the range is not more specific: it says in which form the representation
is accepted, and several ranges may accept several (§8.7.3.5.2).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from attrs import field, frozen

from pacs_web.remembered import remembered

__all__ = [
    "MAX_RANGES",
    "MULTIPART",
    "Choice",
    "MediaType",
    "Representation",
    "accepted_types",
    "choose",
    "media_type",
    "read_media_types",
]

MULTIPART: Final = "multipart/related"
MAX_RANGES: Final = 200
"""Ranges of an Accept header that are looked at."""

_TYPE: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*/\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_PARAMETER: Final = re.compile(
    r"""\s*;\s*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"]*)))?"""
)
_QUALITY: Final = re.compile(r"0(\.[0-9]*)?|1(\.0*)?|\.[0-9]+")
_ESCAPED: Final = re.compile(r"\\(.)")
_UTF_8: Final = {"utf-8", "utf8", "*", ""}


@frozen
class MediaType:
    """A media type, or a range of them.

    Attributes
    ----------
    name : str
        Type and subtype in lower case: ``"image/*"``.
    parameters : mapping of str to str
        By name in lower case, without `q`.
    quality : float
        0 to 1.
    """

    name: str
    parameters: Mapping[str, str] = field(factory=dict)
    quality: float = 1.0

    @property
    def content(self) -> str:
        """The type of the parts of a multipart type, in lower case; `*/*` if it names none."""
        return self._inner[0].strip(" \t'").lower()

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax that it names: a UID, `*`, or empty."""
        named = self.parameters.get("transfer-syntax") or self._inner[1]
        return named.strip().strip('"')

    @property
    def _inner(self) -> tuple[str, str]:
        """The type of the parts, and the transfer syntax that some have within its quotes."""
        content, _, rest = self.parameters.get("type", "*/*").partition(";")
        return content, rest.partition("transfer-syntax=")[2].partition(";")[0]


@frozen
class Representation:
    """A form in which a resource can be had.

    Attributes
    ----------
    name : str
        Its media type, or that of its parts.
    is_multipart : bool
    """

    name: str
    is_multipart: bool = False

    def content_type(self, boundary: str = "", transfer_syntax_uid: str = "") -> str:
        """Return the Content-Type of the representation.

        Parameters
        ----------
        boundary : str
            Of a multipart one.
        transfer_syntax_uid : str
            Of all that is in it, if that is one.
        """
        syntax = f"; transfer-syntax={transfer_syntax_uid}" if transfer_syntax_uid else ""
        if not self.is_multipart:
            return f"{self.name}{syntax}"
        return f'{MULTIPART}; type="{self.name}"; boundary={boundary}{syntax}'


@frozen
class Choice:
    """A representation that is accepted.

    Attributes
    ----------
    representation : Representation
    transfer_syntaxes : tuple of str
        That were named for it, the most wanted first: UIDs, or `*`; an empty one where a range
        names none.
    """

    representation: Representation
    transfer_syntaxes: tuple[str, ...]


def read_media_types(text: str) -> Iterator[MediaType]:
    """Iterate over a list of media types; what is none is passed over.

    Parameters
    ----------
    text : str
        Of an Accept or Content-Type header.
    """
    at, number = 0, 0
    while at < len(text) and number < MAX_RANGES:
        number += 1
        found = _TYPE.match(text, at)
        if found is None:
            at = _next_comma(text, at)
            continue
        parameters: dict[str, str] = {}
        at = found.end()
        while parameter := _PARAMETER.match(text, at):
            name, quoted, token = parameter.groups()
            at = parameter.end()
            if name:
                value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else token.strip()
                parameters.setdefault(name.lower(), value)
        quality = parameters.pop("q", "1")
        rest_is_clean = not text[at : (end := _next_comma(text, at))].strip(" \t,")
        at = end
        if rest_is_clean and _QUALITY.fullmatch(quality):
            name = f"{found[1]}/{found[2]}".lower()
            yield MediaType(name, parameters, float(quality))


def _next_comma(text: str, at: int) -> int:
    comma = text.find(",", at)
    return len(text) if comma < 0 else comma + 1


@remembered
def media_type(text: str) -> MediaType | None:
    """Return the media type of a Content-Type header; None if it is none."""
    return next(read_media_types(text), None)


def accepted_types(header: str | None, parameters: Sequence[str] = ()) -> list[MediaType]:
    """Return what a request accepts (PS3.18 §8.3.3.1, §8.7.5).

    Parameters
    ----------
    header : str or None
        Accept; None if there is none, which accepts everything.
    parameters : sequence of str
        Values of the query parameter `accept`, which counts instead of the header. In a query a
        plus sign is a space, and seldom encoded, so a space is taken for one.
    """
    if parameters:
        plain = ",".join(each.strip() for each in parameters)
        plain = re.sub(r"(?<=[a-z]) (?=(json|xml)\b)", "+", unquote(plain))
        return list(read_media_types(plain))
    return (
        [MediaType("*/*")] if not (header or "").strip() else list(read_media_types(header or ""))
    )


def choose(accepted: Sequence[MediaType], offered: Sequence[Representation]) -> list[Choice]:
    """Return the representations that are accepted, the best first; none is 406.

    Parameters
    ----------
    accepted : sequence of MediaType
    offered : sequence of Representation
        The most preferred first.
    """
    rated: list[tuple[float, Choice]] = []
    for representation in offered:
        ranges = [
            (specificity, each)
            for each in accepted
            if (specificity := _specificity(each, representation))
        ]
        if not ranges:
            continue
        most = max(specificity for specificity, _ in ranges)
        best = [each for specificity, each in ranges if specificity == most]
        # A range of quality 0 excludes; among those that name transfer syntaxes, only these.
        best = sorted((each for each in best if each.quality), key=lambda each: -each.quality)
        if best:
            syntaxes = tuple(dict.fromkeys(each.transfer_syntax for each in best))
            rated.append((best[0].quality, Choice(representation, syntaxes)))
    rated.sort(key=lambda each: -each[0])
    return [choice for _, choice in rated]


def _specificity(wanted: MediaType, offered: Representation) -> int:
    """Tell how specific a range is that a representation is in; 0 if it is not."""
    if wanted.parameters.get("charset", "").lower() not in _UTF_8:
        return 0
    if not offered.is_multipart:
        return _depth(wanted.name, offered.name)
    outer = _depth(wanted.name, MULTIPART)
    inner = _depth(wanted.content, offered.name) if outer > 1 else 1
    return outer + inner if outer and inner else 0


def _depth(wanted: str, name: str) -> int:
    """Return 1 for `*/*`, 2 for `type/*`, 3 for the type itself, 0 for another."""
    if wanted in {"*/*", "*"}:
        return 1
    if wanted == name:
        return 3
    return 2 if wanted.endswith("/*") and name.startswith(wanted[:-1]) else 0
