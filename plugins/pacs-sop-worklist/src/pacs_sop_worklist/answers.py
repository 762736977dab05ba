"""Identifiers of C-FIND responses (PS3.4 K.4.1.3)."""

from pacs_core.dataset import (
    Attributes,
    MutableAttributes,
    UnencodableValue,
    best_character_set,
    encode_attributes,
    items,
    texts,
)
from pacs_sop_worklist.steps import CHARACTER_SET


class AnswerFormat:
    """Turns steps into identifiers of responses to one request.

    Parameters
    ----------
    keys : Attributes
        Of the request.
    transfer_syntax_uid : str
    character_set : tuple of str
        In which to answer if the request names none, where that expresses a step.
    """

    def __init__(
        self, keys: Attributes, transfer_syntax_uid: str, character_set: tuple[str, ...] = ()
    ) -> None:
        self._keys = {tag: values for tag, values in keys.items() if tag != CHARACTER_SET}
        self._transfer_syntax = transfer_syntax_uid
        self._character_set = texts(keys, CHARACTER_SET) or character_set

    def encode(self, attributes: Attributes) -> bytes:
        """Return the identifier of the response for the attributes of a step."""
        answer = _requested(self._keys, attributes)
        character_set = best_character_set(answer, self._character_set)
        try:
            return encode_attributes(answer, self._transfer_syntax, character_set)
        except UnencodableValue:
            # A value that is not what its VR allows must not hide the step.
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

    What an entry does not have is of zero length.
    """
    answer: MutableAttributes = {}
    for tag in keys:
        values = attributes.get(tag, ())
        asked = items(keys, tag)
        if asked and asked[0]:
            values = tuple(_requested(asked[0], item) for item in items(attributes, tag))
        answer[tag] = values
    return answer
