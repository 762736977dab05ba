"""HL7 version 2 messages, read by the `hl7` library (HL7 V2.x chapter 2).

Delimiters come from MSH-1 and MSH-2, and the character set from MSH-18, which is in that character
set itself: some have delimiters as second bytes of characters, so that what is before MSH-18 can be
counted only by who knows them. What cannot be read is refused with the code of HL7 table 0357 that
says why.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import hl7
from attrs import field, frozen

_CHARACTER_SETS: Final = {
    "": "",
    "ASCII": "ascii",
    **{f"8859/{number}": f"iso8859_{number}" for number in (*range(1, 12), 13, 14, 15, 16)},
    **{f"{name}1252": "cp1252" for name in ("CP", "WINDOWS-")},
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "SHIFT_JIS": "shift_jis",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
"""HL7 table 0211, and what some systems write instead, as Python's codecs.

Not UTF-16, in which MLLP's own bytes would be parts of characters.
"""
_LATIN: Final = re.compile(r"(?:ISO[ _-]?)?8859[ _/-]?([0-9]+)")
"""How systems write 8859/1 that do not go by the table."""
_ACKNOWLEDGMENTS: Final = frozenset({"ACK", "MCF"})
_BEFORE: Final = b"\xef\xbb\xbf\r\n\t "
"""What some systems put before MSH: a byte order mark, blanks, and ends of lines."""
_OF_TWO_BYTES: Final = ("shift_jis", "iso2022_jp", "gb18030", "big5", "euc_kr")
"""Those whose characters may have a delimiter for a byte."""


class Fault(StrEnum):
    """Message error condition codes (HL7 table 0357)."""

    SEGMENT_SEQUENCE = "100"
    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE = "102"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    INTERNAL = "207"


class MessageError(ValueError):
    """A message cannot be read, or asks for what cannot be done.

    Parameters
    ----------
    text : str
    fault : Fault
    is_rejected : bool
        Whether it is no use to send it again, as it is: AR instead of AE.
    """

    def __init__(self, text: str, fault: Fault, *, is_rejected: bool = False) -> None:
        super().__init__(text)
        self.fault = fault
        self.is_rejected = is_rejected


@frozen
class Message:
    """A message.

    Attributes
    ----------
    raw : bytes
        As it was received.
    """

    raw: bytes
    _codec: str
    _parsed: Any = field(repr=False, eq=False)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.get("MSH", 10)

    @property
    def sender(self) -> str:
        """Sending application and facility: MSH-3 and MSH-4."""
        return f"{self.get('MSH', 3)}|{self.get('MSH', 4)}"

    @property
    def version(self) -> str:
        """MSH-12."""
        return self.get("MSH", 12)

    @property
    def code(self) -> str:
        """Message code: MSH-9.1, such as ``ADT``."""
        return self.get("MSH", 9)

    @property
    def trigger(self) -> str:
        """Trigger event: MSH-9.2, such as ``A08``."""
        return self.get("MSH", 9, component=2)

    @property
    def kind(self) -> str:
        """Both, for people: ``ADT^A08``."""
        return "^".join(filter(None, (self.code, self.trigger)))

    def get(
        self,
        segment: str,
        number: int,
        *,
        repetition: int = 1,
        component: int = 1,
        part: int = 1,
        occurrence: int = 1,
    ) -> str:
        """Return a value, its escapes undone; empty if it is absent.

        Parameters
        ----------
        segment : str
        number, repetition, component, part : int
            Of the field, and so on down to the subcomponent, from 1.
        occurrence : int
            Of the segment.
        """
        try:
            found = self._parsed.segments(segment)[occurrence - 1](number)
            for place in (repetition, component, part):
                if isinstance(found, hl7.Container):
                    found = found[place - 1]
                elif place > 1:
                    return ""
        except (KeyError, IndexError):
            return ""
        # Two quotation marks say that a value is to be deleted (HL7 V2.x 2.5.3).
        return "" if str(found) == '""' else self._unescape(str(found)).strip()

    def _unescape(self, text: str) -> str:
        """Undo escapes (HL7 V2.x 2.7); what is none, such as a single backslash, stays."""
        escape = self._parsed.esc
        if escape not in text:
            return text
        mark = re.escape(escape)
        pattern = rf"{mark}(?:([FSTRE])|X((?:[0-9A-Fa-f]{{2}})+)|(\.br|\.sp)|[HN]){mark}"

        def undo(match: re.Match[str]) -> str:
            delimiter, hexadecimal, line = match.groups()
            if delimiter:
                return str(self._delimiters[delimiter])
            if hexadecimal:
                return bytes.fromhex(hexadecimal).decode(self._codec, "replace")
            return "\r" if line else ""

        return re.sub(pattern, undo, text)

    @property
    def _delimiters(self) -> dict[str, str]:
        field_separator, others = self._parsed[0][1][0], self._parsed[0][2][0].ljust(4, "\0")
        component, repetition, escape, part = others[:4]
        return dict(
            zip("FSRET", (field_separator, component, repetition, escape, part), strict=True)
        )

    @property
    def segments(self) -> Iterator[str]:
        """Names of the segments, in their order."""
        return (str(segment[0]) for segment in self._parsed)

    def count(self, segment: str) -> int:
        """Return how many segments of a name there are."""
        try:
            return len(self._parsed.segments(segment))
        except KeyError:
            return 0

    def is_given(self, segment: str, number: int, occurrence: int = 1) -> bool:
        """Tell whether a field says something: a value, or that there is none."""
        try:
            return bool(str(self._parsed.segments(segment)[occurrence - 1](number)))
        except (KeyError, IndexError):
            return False

    def repetitions(self, segment: str, number: int, occurrence: int = 1) -> range:
        """Return the numbers of the repetitions of a field."""
        try:
            found = self._parsed.segments(segment)[occurrence - 1]
            return range(1, len(found(number)) + 1)
        except (KeyError, IndexError):
            return range(0)


def _segments_end(content: bytes) -> bytes:
    """Return a message whose segments end with a return, whatever they have ended with.

    A line feed is the end of a segment only where no return is (HL7 V2.x 2.6.2): else it is within
    a field, as in text that somebody has typed.
    """
    content = content.lstrip(_BEFORE).rstrip(b"\r\n")
    if b"\r" in content:
        return content.replace(b"\r\n", b"\r")
    return content.replace(b"\n", b"\r")


@frozen
class Header:
    """The MSH segment of a message, which may be broken otherwise.

    Attributes
    ----------
    fields : tuple of str
        As they are; empty if the message does not begin with that segment.
    """

    fields: tuple[str, ...]

    def get(self, number: int) -> str:
        """Return a field, MSH-1 being the separator; empty if it is absent."""
        return self.fields[number - 1] if 0 < number <= len(self.fields) else ""

    @property
    def delimiters(self) -> str:
        """Of fields, components, repetitions, escapes and subcomponents; "" for what is none."""
        return self.get(1) + self.get(2)[:4]

    @property
    def is_acknowledgment(self) -> bool:
        """Whether the message only answers another (HL7 V2.x 2.9.2, 2.13.1)."""
        return self.get(9).split(self.delimiters[1:2] or "^")[0] in _ACKNOWLEDGMENTS

    @property
    def character_set(self) -> str:
        """The first of MSH-18, as HL7 table 0211 has it."""
        repetition = self.delimiters[2:3]
        named = self.get(18)
        return (named.split(repetition)[0] if repetition else named).strip().upper()


def read_header(content: bytes, default: str = "utf-8") -> Header:
    """Return the header of a message, however broken that is.

    Parameters
    ----------
    content : bytes
    default : str
        Python's name of the character set of messages that name none.
    """
    line = content.lstrip(_BEFORE).split(b"\r", 1)[0].split(b"\n", 1)[0]
    if not line.startswith(b"MSH") or len(line) < 4:
        return Header(())
    for codec in (*_OF_TWO_BYTES, default):
        try:
            header = _split_header(line.decode(codec))
        except UnicodeError:
            continue
        named = _codec_of(header.character_set)
        if named == codec or (codec == default and named == ""):
            return header
    known = _split_header(line.decode("latin-1"))
    codec = _codec_of(known.character_set) or default
    return _split_header(line.decode(codec, "replace"))


def _codec_of(named: str) -> str | None:
    """Return what Python calls a character set; empty if none is named, None if it is unknown."""
    if latin := _LATIN.fullmatch(named):
        named = f"8859/{latin[1]}"
    return _CHARACTER_SETS.get(named)


def _split_header(line: str) -> Header:
    if len(line) < 4:  # there was nothing behind but what switches between sets of characters
        return Header(())
    separator = line[3]
    # What separates is MSH-1, and the first thing behind the name of the segment.
    return Header((separator, *line[4:].split(separator)))


def split_messages(content: bytes) -> Iterator[bytes]:
    """Iterate over the messages of a frame: usually one, but some senders put several in it."""
    beginning = content.lstrip(_BEFORE)[:4]
    if beginning[:3] != b"MSH" or len(beginning) < 4:
        yield content
        return
    separator = b"\rMSH" + beginning[3:4]
    first, *others = _segments_end(content).split(separator)
    yield first if others else content
    for other in others:
        yield separator[1:] + other


def read_message(content: bytes, default: str = "utf-8") -> Message:
    """Read a message.

    Parameters
    ----------
    content : bytes
    default : str
        Python's name of the character set of messages that name none.

    Raises
    ------
    MessageError
    """
    header = read_header(content, default)
    if len(header.delimiters) < 2:
        raise MessageError("the message does not begin with an MSH segment", Fault.SEGMENT_SEQUENCE)
    named = header.character_set
    codec = _codec_of(named)
    if codec is None:
        raise MessageError(
            f"character set {named[:40]!r} in MSH-18 is not supported", Fault.DATA_TYPE
        )
    try:
        text = _segments_end(content).decode(codec or default)
    except UnicodeDecodeError as error:
        raise MessageError(
            f"the message is not in {named or default}: {error.reason} at byte {error.start}",
            Fault.DATA_TYPE,
        ) from error
    try:
        parsed = hl7.parse(text)
    # The library has exceptions of its own, and lets others out where text ends too early.
    except (hl7.HL7Exception, IndexError, ValueError) as error:
        raise MessageError(
            f"the message cannot be read: {error}", Fault.SEGMENT_SEQUENCE
        ) from error
    return Message(content, codec or default, parsed)
