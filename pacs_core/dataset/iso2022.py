"""Code extensions: several character sets within one value (PS3.5 §6.1.2.4 and §6.1.2.5).

Bytes below 0x80 are read with the set designated as G0, the others with the set designated as G1.
Escape sequences designate; control characters and the delimiters of a value restore what value 1
of Specific Character Set designates. Many writers forget to designate again after a delimiter: high
bytes that no sequence precedes are read in the first set that is named and has some.
"""

import re
from collections.abc import Iterator

from attrs import frozen

# Theory of operation
#
# A value is cut at escape sequences, the parts at delimiters and controls, and those into halves of
# bytes below 80H and above. A half belongs to one set: G0 below, G1 above. Two rules of PS3.5
# §6.1.2.5.3 need care. A delimiter designates again what value 1 names, but within a set of two
# bytes for each character its byte may be half of a character, so there only control characters end
# a run. And when writing, the initial sets must be active again before a delimiter and at the end.
#
# Reading is tried strictly first, then loosely: some writers designate a set for G1 and expect that
# it ends a two-byte set in G0. Loose reading is right for them and wrong for others, so it is used
# only if the strict one leaves bytes without a meaning.

ESCAPE = "\x1b"
_ESC = b"\x1b"


@frozen
class CodeElement:
    """A character set that an escape sequence designates (PS3.3 Tables C.12-3 and C.12-4).

    Attributes
    ----------
    escape : bytes
        The sequence that designates it.
    codec : str
        The codec that reads and writes it.
    high : bool
        Designated as G1, so its bytes have the high bit set; otherwise as G0.
    wide : bool
        Two bytes a character, without the high bit: delimiters cannot occur while it is active.
    """

    escape: bytes
    codec: str
    high: bool = True
    wide: bool = False

    def decode(self, raw: bytes) -> str:
        """Decode bytes that all belong to this set."""
        return (self.escape + raw if self.wide else raw).decode(self.codec, "replace")

    def encode(self, character: str) -> bytes | None:
        """Encode one character that is not ASCII; None if the set lacks it."""
        try:
            raw = character.encode(self.codec)
        except UnicodeEncodeError:
            return None
        if self.wide:
            return raw[len(self.escape) : -3] if raw.startswith(self.escape) else None
        return raw if self._holds(raw) else None

    def _holds(self, raw: bytes) -> bool:
        # Shift JIS also has two-byte characters, which are not in JIS X 0201, and Python composes
        # syllables that KS X 1001 lacks of eight bytes.
        return raw[0] >= 0x80 and len(raw) == (2 if self.codec in _TWO_BYTES else 1)


_TWO_BYTES = frozenset({"euc_kr", "gb2312"})
_ASCII = CodeElement(_ESC + b"(B", "ascii", high=False)
_ROMAJI = CodeElement(_ESC + b"(J", "ascii", high=False)
_KATAKANA = CodeElement(_ESC + b")I", "shift_jis")
_UNDECLARED = CodeElement(b"", "latin_1")

_TERMS: dict[str, tuple[CodeElement, ...]] = {
    "": (_ASCII,),
    "6": (_ASCII,),
    "13": (_ROMAJI, _KATAKANA),
    "100": (_ASCII, CodeElement(_ESC + b"-A", "latin_1")),
    "101": (_ASCII, CodeElement(_ESC + b"-B", "iso8859_2")),
    "109": (_ASCII, CodeElement(_ESC + b"-C", "iso8859_3")),
    "110": (_ASCII, CodeElement(_ESC + b"-D", "iso8859_4")),
    "126": (_ASCII, CodeElement(_ESC + b"-F", "iso8859_7")),
    "127": (_ASCII, CodeElement(_ESC + b"-G", "iso8859_6")),
    "138": (_ASCII, CodeElement(_ESC + b"-H", "iso8859_8")),
    "144": (_ASCII, CodeElement(_ESC + b"-L", "iso8859_5")),
    "148": (_ASCII, CodeElement(_ESC + b"-M", "iso8859_9")),
    "166": (_ASCII, CodeElement(_ESC + b"-T", "tis_620")),
    "203": (_ASCII, CodeElement(_ESC + b"-b", "iso8859_15")),
    "87": (CodeElement(_ESC + b"$B", "iso2022_jp", high=False, wide=True),),
    "159": (CodeElement(_ESC + b"$(D", "iso2022_jp_2", high=False, wide=True),),
    "149": (CodeElement(_ESC + b"$)C", "euc_kr"),),
    "58": (CodeElement(_ESC + b"$)A", "gb2312"),),
}
CODE_EXTENSIONS = tuple(number for number in _TERMS if number)
"""Registration numbers of the sets that escape sequences may designate."""
MULTI_BYTE = ("87", "159", "149", "58")
"""Those that extend another set, and cannot be the first."""

_BY_ESCAPE = {element.escape: element for elements in _TERMS.values() for element in elements}

_ESCAPED = re.compile(rb"(\x1b(?:\$[()][A-Z]|\$[A-Z]|[()\-][A-Za-z]))")
_HALVES = re.compile(rb"[\x80-\xff]+|[^\x80-\xff]+")
_DELIMITERS = {
    vr: re.compile(rb"([\t\n\f\r\\^=])" if vr == "PN" else rb"([\t\n\f\r\\])")
    for vr in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
}
_CONTROLS = re.compile(rb"([\t\n\f\r])")
_TEXT_DELIMITERS = {"PN": re.compile(r"([\t\n\f\r\\^=])")}
_TEXT_DELIMITER = re.compile(r"([\t\n\f\r\\])")


class Iso2022:
    """The code elements that the values of Specific Character Set name.

    Parameters
    ----------
    numbers : tuple of str
        Registration numbers ("100", "87"), in the order of the values; "" for an absent value 1.
    """

    def __init__(self, numbers: tuple[str, ...]) -> None:
        self._elements = [element for term in numbers for element in _TERMS.get(term, ())]
        first = _TERMS.get(numbers[0], ())
        # A two-byte set cannot be the initial one, though datasets do name it first.
        self._g0 = next((e for e in first if not e.high and not e.wide), _ASCII)
        self._g1 = next((e for e in first if e.high), _UNDECLARED)
        named = (e for e in (*first, *self._elements) if e.high)
        self._assumed = next(named, _UNDECLARED)

    def decode(self, raw: bytes, vr: str) -> str:
        """Decode a value with its escape sequences; never raises."""
        return "".join(text for _, text in self._runs(raw, _DELIMITERS[vr]))

    def explain(self, raw: bytes, vr: str) -> str | None:
        """Decode a value; None if it has bytes to which the named sets give no meaning."""
        for loose in (False, True):
            runs = list(self._runs(raw, _DELIMITERS[vr], loose))
            if not any(element is _UNDECLARED or "\ufffd" in text for element, text in runs):
                return "".join(text for _, text in runs)
        return None

    def _runs(
        self, raw: bytes, delimiter: re.Pattern[bytes], loose: bool = False
    ) -> Iterator[tuple[CodeElement, str]]:
        """Split a value into runs of one set; if `loose`, any sequence ends two-byte sets."""
        g0, g1 = self._g0, self._assumed
        for part in _ESCAPED.split(raw):
            if designated := _BY_ESCAPE.get(part):
                g0, g1 = (g0, designated) if designated.high else (designated, g1)
                g0 = self._g0 if loose and designated.high and g0.wide else g0
                continue
            # Within two bytes a character there are no delimiters, but control characters.
            for run in (_CONTROLS if g0.wide else delimiter).split(part):
                if _CONTROLS.fullmatch(run) or (not g0.wide and delimiter.fullmatch(run)):
                    g0, g1 = self._g0, self._assumed
                for half in _HALVES.findall(run):
                    element = g1 if half[0] >= 0x80 else g0
                    yield element, element.decode(half)

    def encode(self, text: str, vr: str, errors: str) -> bytes:
        """Encode a value, with escape sequences where they are needed.

        Raises
        ------
        UnicodeEncodeError
            If `errors` is "strict" and no named set has one of the characters.
        """
        parts = _TEXT_DELIMITERS.get(vr, _TEXT_DELIMITER).split(text)
        return b"".join(
            part.encode("ascii") if part.isascii() else self._encode_part(part, errors)
            for part in parts
        )

    def _encode_part(self, text: str, errors: str) -> bytes:
        out = bytearray()
        g0, g1 = self._g0, self._g1
        for character in text:
            element, raw = self._encode_character(character, g1, errors)
            if element.high and g0.wide:
                # Many readers have but one set at a time.
                g0 = self._g0
                out += g0.escape
            if element.high and element is not g1:
                g1 = element
                out += element.escape
            elif not element.high and element is not g0:
                g0 = element
                out += element.escape
            out += raw
        # PS3.5 §6.1.2.5.3: what value 1 designates is active again before a delimiter.
        out += b"" if g0 is self._g0 else self._g0.escape
        out += b"" if g1 is self._g1 else self._g1.escape
        return bytes(out)

    def _encode_character(
        self, character: str, g1: CodeElement, errors: str
    ) -> tuple[CodeElement, bytes]:
        if character.isascii():
            return self._g0, character.encode("ascii")
        for element in (g1, *self._elements):
            if element is not _UNDECLARED and (raw := element.encode(character)):
                return element, raw
        return self._g0, character.encode("ascii", errors)
