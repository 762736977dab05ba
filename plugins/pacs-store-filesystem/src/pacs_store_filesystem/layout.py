"""Templates that turn validated UIDs into keys, and tell keys from other strings."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, Self

from attrs import field, frozen

from pacs_core.contracts import InstanceIdentity
from pacs_core.dimse import MAX_UID_LENGTH, is_valid_uid

# Theory of operation
#
# A template is parsed once into components of parts. From these come both directions: `key`
# renders, and one regular expression recognises (`could_make`). Recognising matters as much as
# rendering, because a scan of the store must tell objects from whatever else lies in the directory,
# and because a key that comes from outside must not lead anywhere but to an object.
#
# Safety does not rest on escaping. Values are UIDs, which are digits and dots and are checked to be
# valid, so that no component can be "..", begin with a dot, or hold a separator. Literals are
# checked when the template is parsed, and so is the longest name that it can make.
#
# A hash is recognised by computing it again from the UID that stands elsewhere in the key, if it
# does.

DEFAULT_LAYOUT: Final = "{study}/{series}/{instance}.dcm"
MAX_VARIANT_LENGTH: Final = 64
MAX_HASH_DIGITS: Final = 8
MAX_NAME_LENGTH: Final = 255
"""Of one path component, in bytes (NAME_MAX)."""
MAX_DEPTH: Final = 16

UID_FIELDS: Final = ("study", "series", "instance")
_HASH_FIELDS: Final = {f"{name}_hash": name for name in UID_FIELDS}

_PART = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<literal>[A-Za-z0-9._-]+)|(?P<wrong>.)", re.DOTALL)
_HASH = re.compile(r"(?P<name>[a-z]+_hash):(?P<digits>[1-9][0-9]*)")
_VARIANT = re.compile(rf"[A-Za-z0-9]{{0,{MAX_VARIANT_LENGTH}}}")
_UID_PATTERN: Final = rf"[0-9.]{{1,{MAX_UID_LENGTH}}}"


@frozen
class _Part:
    """A literal (`name` empty), a UID (`digits` 0), or the first `digits` of a UID's hash."""

    literal: str = ""
    name: str = ""
    digits: int = 0

    @property
    def is_uid(self) -> bool:
        return bool(self.name) and not self.digits

    @property
    def longest(self) -> int:
        if not self.is_uid:
            return self.digits or len(self.literal)
        return MAX_UID_LENGTH + (1 + MAX_VARIANT_LENGTH if self.name == "instance" else 0)

    def render(self, uids: Mapping[str, str], variant: str) -> str:
        if not self.name:
            return self.literal
        if self.digits:
            return sha256(uids[self.name].encode()).hexdigest()[: self.digits]
        return uids[self.name] + (f"-{variant}" if variant and self.name == "instance" else "")


@frozen
class KeyLayout:
    """A template of keys: path components separated by ``/``.

    - ``{study}``, ``{series}``, ``{instance}`` stand for the UIDs; a component has at most one
      of them, and one component has ``{instance}``.
    - ``{study_hash:2}``, ``{series_hash:2}``, ``{instance_hash:2}`` stand for the first digits
      (1 to 8) of the hexadecimal SHA-256 of a UID, to spread objects over directories.
    - Anything else may be ASCII letters, digits, ``.``, ``_`` and ``-``; no component begins
      with a dot.

    Variants of an object append ``-VARIANT`` to ``{instance}``.
    """

    template: str
    _segments: tuple[tuple[_Part, ...], ...] = field(repr=False)
    _pattern: re.Pattern[str] = field(repr=False)

    @classmethod
    def parse(cls, template: str) -> Self:
        """Read a template.

        Raises
        ------
        ValueError
            It is not usable; the message says why and what to write instead.
        """
        segments = tuple(tuple(_parts(s, template)) for s in template.split("/"))
        _check(template, segments)
        return cls(template, segments, _compile(segments))

    @property
    def depth(self) -> int:
        """Number of path components of every key."""
        return len(self._segments)

    def key(self, identity: InstanceIdentity, variant: str = "") -> str:
        """Return the key of an object.

        Raises
        ------
        ValueError
            `variant` has other characters than ASCII letters and digits, or more than 64.
        """
        if _VARIANT.fullmatch(variant) is None:
            raise ValueError(
                f"variant {variant!r}: only letters and digits, up to {MAX_VARIANT_LENGTH}"
            )
        uids = {
            "study": identity.study_instance_uid,
            "series": identity.series_instance_uid,
            "instance": identity.sop_instance_uid,
        }
        for uid in uids.values():
            if not is_valid_uid(uid):
                raise ValueError(f"not a valid UID (PS3.5 §9.1): {uid[:80]!r}")
        names = (
            "".join([part.render(uids, variant) for part in segment]) for segment in self._segments
        )
        return "/".join(names)

    def could_make(self, key: str) -> bool:
        """Tell whether some identity and variant have this key."""
        match = self._pattern.fullmatch(key)
        if match is None:
            return False
        found = match.groupdict()
        uids: dict[str, str] = {name: found[name] for name in UID_FIELDS if name in found}
        if not all(map(is_valid_uid, uids.values())):
            return False
        hashes = (part for segment in self._segments for part in segment if part.digits)
        return all(
            part.name not in uids or part.render(uids, "") == found[f"hash{number}"]
            for number, part in enumerate(hashes)
        )

    def split(self, key: str) -> tuple[str, str, str]:
        """Split a key so that each variant is the first, something of the second, and the third.

        Returns
        -------
        tuple of str
            The directory, with a slash at its end, in which names differ by variant; how these
            names begin; and what follows below such a name, with a slash before it.
        """
        match = self._pattern.fullmatch(key)
        if match is None:
            raise ValueError(f"{key[:200]!r} is no key of the layout {self.template}")
        start = key.rfind("/", 0, match.start("instance")) + 1
        below = key.find("/", start)
        end = match.end("instance")
        return key[:start], key[start:end], key[below:] if below >= 0 else ""


def _parts(segment: str, template: str) -> Iterator[_Part]:
    for match in _PART.finditer(segment):
        if match["field"] is not None:
            yield _field(match["field"], template)
        elif match["literal"]:
            yield _Part(literal=match["literal"])
        else:
            raise _error(template, f"the character {match['wrong']!r} is not allowed")


def _field(text: str, template: str) -> _Part:
    if text in UID_FIELDS:
        return _Part(name=text)
    match = _HASH.fullmatch(text)
    if match is None or match["name"] not in _HASH_FIELDS:
        raise _error(
            template,
            f"unknown field {{{text}}}; known are {{study}}, {{series}}, {{instance}} and "
            "{study_hash:N}, {series_hash:N}, {instance_hash:N}",
        )
    digits = match["digits"]
    if len(digits) > 1 or int(digits) > MAX_HASH_DIGITS:
        raise _error(template, f"field {{{text}}} may have 1 to {MAX_HASH_DIGITS} digits")
    return _Part(name=_HASH_FIELDS[match["name"]], digits=int(digits))


def _check(template: str, segments: tuple[tuple[_Part, ...], ...]) -> None:
    if template.startswith("/"):
        raise _error(template, "it must be relative: the directory of the store is `root`")
    if len(segments) > MAX_DEPTH:
        raise _error(template, f"more than {MAX_DEPTH} path components")
    for segment in segments:
        if not segment:
            raise _error(template, "an empty path component")
        if segment[0].literal.startswith("."):
            raise _error(template, "a path component begins with a dot")
        if sum(part.is_uid for part in segment) > 1:
            raise _error(template, "two UIDs in one path component; put a / between them")
        if sum(part.longest for part in segment) > MAX_NAME_LENGTH:
            raise _error(template, f"a path component could exceed {MAX_NAME_LENGTH} characters")
    if sum(p.is_uid and p.name == "instance" for s in segments for p in s) != 1:
        raise _error(template, "it must have the field {instance} once")


def _error(template: str, reason: str) -> ValueError:
    return ValueError(f"layout {template!r}: {reason}")


def _compile(segments: tuple[tuple[_Part, ...], ...]) -> re.Pattern[str]:
    """Make the pattern of all keys; a UID that occurs again is a back-reference."""
    known: set[str] = set()
    hashes = 0
    pattern: list[str] = []
    for segment in segments:
        for part in segment:
            if part.digits:
                pattern.append(f"(?P<hash{hashes}>[0-9a-f]{{{part.digits}}})")
                hashes += 1
            elif not part.name:
                pattern.append(re.escape(part.literal))
            elif part.name in known:
                pattern.append(f"(?P={part.name})")
            else:
                known.add(part.name)
                pattern.append(f"(?P<{part.name}>{_UID_PATTERN})")
                if part.name == "instance":
                    pattern.append(f"(?:-[A-Za-z0-9]{{1,{MAX_VARIANT_LENGTH}}})?")
        pattern.append("/")
    return re.compile("".join(pattern[:-1]))
