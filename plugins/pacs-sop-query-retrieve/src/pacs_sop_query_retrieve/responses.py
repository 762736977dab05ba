"""Contents of a C-FIND response, prepared once for each request (PS3.4 C.4.1.1.3.2)."""

from typing import Final

from pacs_core.contracts import (
    DATE_AND_TIME,
    MOMENT_VRS,
    TIMEZONE_OFFSET,
    Availability,
    Query,
    SingleValue,
    archive_offset,
    comparables,
    offset_text,
    timezone_of,
)
from pacs_core.dataset import (
    Attributes,
    UnencodableValue,
    Value,
    best_character_set,
    encode_attributes,
    items,
    tag_of,
    texts,
    vr_of,
)
from pacs_sop_query_retrieve.identifier import Identifier
from pacs_sop_query_retrieve.models import (
    ENTITY_NAMES,
    INSTANCE_AVAILABILITY,
    QUERY_RETRIEVE_LEVEL,
    RETRIEVE_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
)

_OURS: Final = frozenset(
    {QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY, SPECIFIC_CHARACTER_SET}
)
_NO_MATCHING: Final = _OURS | {TIMEZONE_OFFSET}
_BIRTH: Final = frozenset({tag_of("PatientBirthDate"), tag_of("PatientBirthTime")})


class ResponseFormat:
    """Turns matches into identifiers of responses to one request.

    Parameters
    ----------
    identifier : Identifier
        Of the request.
    searchable : frozenset of int
        Tags that the archive knows at its level.
    transfer_syntax_uid : str
    ae_title : str
        From which the matches can be retrieved.
    character_set : tuple of str
        In which to answer if the request names none, where that expresses a match.
    """

    def __init__(
        self,
        identifier: Identifier,
        searchable: frozenset[int],
        transfer_syntax_uid: str,
        ae_title: str,
        character_set: tuple[str, ...] = (),
    ) -> None:
        requested = identifier.keys.keys() - _NO_MATCHING
        self.matched = frozenset(requested & searchable)
        self.unsupported = frozenset(requested - searchable)
        self.offset = timezone_of(identifier.keys)
        # A birth is a date of the calendar, wherever it was: no offset moves it.
        zoned = TIMEZONE_OFFSET in identifier.keys or any(
            vr_of(tag) in MOMENT_VRS for tag in self.matched - _BIRTH
        )
        known = searchable & {TIMEZONE_OFFSET}
        self._naming = frozenset[int]()
        if INSTANCE_AVAILABILITY in identifier.keys:
            self._naming = searchable.intersection(ENTITY_NAMES[identifier.level])
        self.returning = (self.matched | known if zoned else self.matched) | self._naming
        self._level = identifier.level
        self._transfer_syntax = transfer_syntax_uid
        self._character_set = texts(identifier.keys, SPECIFIC_CHARACTER_SET) or character_set
        # What is the same in every response; unsupported keys are of zero length.
        self._fixed: dict[int, tuple[Value, ...]] = dict.fromkeys(requested, ())
        self._fixed[QUERY_RETRIEVE_LEVEL] = (identifier.level.value,)
        self._fixed[RETRIEVE_AE_TITLE] = (ae_title,)
        self._inner = {
            tag: nested[0]
            for tag in self.matched
            if (nested := items(identifier.keys, tag)) and nested[0]
        }

    def entity(self, match: Attributes) -> Query | None:
        """Return the query for a match alone, if it is to be asked how soon it can be retrieved.

        A patient without an ID cannot be asked for: then the element is left out, as "unknown or
        unspecified" (PS3.4 C.4.1.1.3.2).
        """
        names = {tag: match.get(tag) for tag in ENTITY_NAMES[self._level] if tag in self._naming}
        if not names or not next(iter(names.values())):
            return None
        conditions = [SingleValue(tag, str(value[0])) for tag, value in names.items() if value]
        return Query(self._level, tuple(conditions))

    def encode(self, match: Attributes, availability: Availability | None = None) -> bytes:
        """Return the identifier of the response for a match."""
        attributes = {**self._fixed, **match}
        for tag in self._naming - self.matched:
            attributes.pop(tag, None)
        if availability is not None:
            attributes[INSTANCE_AVAILABILITY] = (availability.value,)
        if TIMEZONE_OFFSET in self.returning:
            attributes.pop(TIMEZONE_OFFSET, None)
            attributes |= self._zone(match)
        for tag, asked in self._inner.items():
            # Of an item only what was asked for goes out (PS3.4 C.2.2.2.6).
            attributes[tag] = tuple(
                {key: item.get(key, ()) for key in asked} for item in items(attributes, tag)
            )
        return self._encode(attributes)

    def _zone(self, match: Attributes) -> Attributes:
        """Return the offset from UTC of a match's times; it is never sent empty.

        To a request that names a zone, times without an offset are of the archive's zone.
        """
        offset = timezone_of(match)
        dates = [(match.get(d), match.get(t)) for d, t in DATE_AND_TIME.items() if match.get(d)]
        if not offset and self.offset and dates:
            (date, time), noon = dates[0], ("12",)
            forms = (*_form("DA", date), *_form("TM", time or noon))
            offset = offset_text(archive_offset("".join(forms)))
        return {TIMEZONE_OFFSET: (offset,)} if offset else {}

    def _encode(self, attributes: Attributes) -> bytes:
        character_set = best_character_set(attributes, self._character_set)
        try:
            return encode_attributes(attributes, self._transfer_syntax, character_set)
        except UnencodableValue:
            # One value that its sender got wrong must not hide the match.
            sound = {t: self._sound(t, values) for t, values in attributes.items()}
            return encode_attributes(sound, self._transfer_syntax, character_set)

    def _sound(self, tag: int, values: tuple[Value, ...]) -> tuple[Value, ...]:
        try:
            encode_attributes({tag: values}, self._transfer_syntax)
        except UnencodableValue:
            return ()
        return values


def _form(vr: str, values: tuple[Value, ...] | None) -> tuple[str, ...]:
    return comparables(vr, str((values or ("",))[0]))
