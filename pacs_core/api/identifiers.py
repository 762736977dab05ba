"""Identifiers of C-FIND, C-GET and C-MOVE: keys and answers (PS3.4 C.4, K.4, CC.2.8)."""

from collections.abc import Collection, Iterable
from typing import Final

from pacs_core.contracts import Condition, KeyMatching, Operation, SequenceMatch
from pacs_core.dataset import (
    Attributes,
    MalformedDataset,
    MutableAttributes,
    UnencodableValue,
    best_character_set,
    encode_attributes,
    items,
    parse_attributes,
    tag_of,
    texts,
)
from pacs_core.dimse import DimseError, Status

__all__ = ["MAX_IDENTIFIER", "AnswerFormat", "read_conditions", "read_keys"]

MAX_IDENTIFIER: Final = 1 << 20
"""Bytes that an identifier may have."""

_GROUP_LENGTH: Final = 0
_BY_KEYWORD: Final = KeyMatching(combined_date_time=True)
_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")


async def read_keys(operation: Operation, character_set: tuple[str, ...] = ()) -> Attributes:
    """Read the keys of a request, group lengths left out.

    A key that holds bulk data is named with what cannot be matched: it is not matched, but answered
    (PS3.4 C.4.1.1.3.2).

    Parameters
    ----------
    operation : Operation
    character_set : tuple of str
        Assumed where the identifier names none, or lies.

    Raises
    ------
    DimseError
        C000H: it is no dataset. The status of :meth:`IncomingDataset.read`: it is longer than
        :data:`MAX_IDENTIFIER`.
    """
    data = await operation.dataset.read(MAX_IDENTIFIER)
    try:
        attributes = parse_attributes(
            data,
            operation.context.transfer_syntax,
            default_character_set=character_set,
            name_bulk=True,
        )
    except MalformedDataset as error:
        raise DimseError(Status.UNABLE_TO_PROCESS, f"Identifier: {error}") from error
    return {tag: values for tag, values in attributes.items() if tag & 0xFFFF != _GROUP_LENGTH}


class AnswerFormat:
    """Turns what matches into identifiers of responses to one request (PS3.4 C.4.1.1.3, K.4.1.3).

    Parameters
    ----------
    keys : Attributes
        Of the request.
    transfer_syntax_uid : str
    character_set : tuple of str
        In which to answer if the request names none, where that expresses it.
    """

    def __init__(
        self, keys: Attributes, transfer_syntax_uid: str, character_set: tuple[str, ...] = ()
    ) -> None:
        self._keys = {tag: values for tag, values in keys.items() if tag != _CHARACTER_SET}
        self._transfer_syntax = transfer_syntax_uid
        self._character_set = texts(keys, _CHARACTER_SET) or character_set

    def encode(self, attributes: Attributes) -> bytes:
        """Return the identifier of the response for the attributes of what matches."""
        answer = _requested(self._keys, attributes)
        character_set = best_character_set(answer, self._character_set)
        try:
            return encode_attributes(answer, self._transfer_syntax, character_set)
        except UnencodableValue:
            # A value that is not what its VR allows must not hide the rest.
            return encode_attributes(self._sound(answer), self._transfer_syntax, character_set)

    def _sound(self, attributes: Attributes) -> Attributes:
        sound: MutableAttributes = {}
        for tag, values in attributes.items():
            kept = tuple(v if isinstance(v, str) else self._sound(v) for v in values)
            try:
                encode_attributes({tag: kept}, self._transfer_syntax)
            except UnencodableValue:
                kept = ()
            sound[tag] = kept
        return sound


def _requested(keys: Attributes, attributes: Attributes) -> Attributes:
    """Return what was asked for: of items their keys, or all where none is named (PS3.4 C.2.2.2.6).

    What is not there is of zero length.
    """
    answer: MutableAttributes = {}
    for tag in keys:
        values = attributes.get(tag, ())
        asked = items(keys, tag)
        if asked and asked[0]:
            values = tuple(_requested(asked[0], item) for item in items(attributes, tag))
        answer[tag] = values
    return answer


def read_conditions(
    keys: Iterable[tuple[str, str]], sequence: int, inside: Collection[int]
) -> tuple[Condition, ...]:
    """Return what keys mean that were given by keyword: values match as in C-FIND.

    Parameters
    ----------
    keys : iterable of (str, str)
        Keywords with values, as commands, REST and pages have them.
    sequence : int
        Tag of the sequence within which some match.
    inside : collection of int
        Tags of those.

    Raises
    ------
    ValueError
        A keyword is none, or a value cannot be matched; says which.
    """
    top: MutableAttributes = {}
    own: MutableAttributes = {}
    for keyword, value in keys:
        try:
            tag = tag_of(keyword)
        except LookupError as error:
            raise ValueError(f"{keyword[:80]!r} is no keyword of an attribute") from error
        (own if tag in inside else top)[tag] = (value,)
    found = _BY_KEYWORD.conditions(top, top)
    nested = _BY_KEYWORD.conditions(own, own)
    return (*found, SequenceMatch(sequence, nested)) if nested else found
