"""Reads the identifier of a request, and checks its level and unique keys (PS3.4 C.4)."""

from attrs import frozen

from pacs_core.api.identifiers import read_keys
from pacs_core.contracts import Condition, Level, Operation, Query, SingleValue, UidList
from pacs_core.dataset import Attributes, keyword_of, texts
from pacs_core.dimse import DimseError, Status, is_valid_uid
from pacs_sop_query_retrieve.models import QUERY_RETRIEVE_LEVEL, UNIQUE_KEYS, InformationModel


@frozen
class Identifier:
    """A level, and the keys of a request, group lengths left out."""

    level: Level
    keys: Attributes


async def read_identifier(
    operation: Operation, model: InformationModel, character_set: tuple[str, ...] = ()
) -> Identifier:
    """Read the identifier of a request; `character_set` is assumed where it names none, or lies.

    Raises
    ------
    DimseError
        C000H if it is no dataset; A900H if its Query/Retrieve Level is none of the model's
        (PS3.4 C.4.1.1.3.1).
    """
    keys = await read_keys(operation, character_set)
    return Identifier(_level(keys, model), keys)


def mismatch(tag: int, comment: str) -> DimseError:
    """Return the error for an identifier that does not match its SOP class."""
    return DimseError(Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, comment, (tag,))


def _level(keys: Attributes, model: InformationModel) -> Level:
    value = "\\".join(texts(keys, QUERY_RETRIEVE_LEVEL))
    for level in model.levels:
        if level.value == value:
            return level
    names = ", ".join(level.value for level in model.levels)
    raise mismatch(QUERY_RETRIEVE_LEVEL, f"Query/Retrieve Level is not one of {names}")


def check_upper_keys(identifier: Identifier, model: InformationModel) -> None:
    """Check that each level above the query's is pinned to one entity (PS3.4 C.4.1.2.2).

    Raises
    ------
    DimseError
        A900H, with the offending unique key.
    """
    for level in model.above(identifier.level):
        _unique_values(identifier, level, most=1)


def loose_keys(identifier: Identifier, model: InformationModel) -> tuple[str, ...]:
    """Return the unique keys above the query's level that do not pin one entity, as keywords."""
    found = []
    for level in model.above(identifier.level):
        try:
            _unique_values(identifier, level, most=1)
        except DimseError:
            found.append(keyword_of(UNIQUE_KEYS[level]))
    return tuple(found)


def retrieve_query(identifier: Identifier, model: InformationModel, *, relational: bool) -> Query:
    """Return the query for the instances to retrieve: unique keys only (PS3.4 C.4.2.2.1).

    Levels above the identifier's may be left out if `relational`. At the level itself several
    UIDs may be given.

    Raises
    ------
    DimseError
        A900H, with the offending unique key.
    """
    upper = [
        _unique_condition(identifier, level, most=1)
        for level in model.above(identifier.level)
        if texts(identifier.keys, UNIQUE_KEYS[level]) or not relational
    ]
    most = 1 if identifier.level is Level.PATIENT else None
    own = _unique_condition(identifier, identifier.level, most)
    return Query(identifier.level, (*upper, own))


def _unique_condition(identifier: Identifier, level: Level, most: int | None) -> Condition:
    tag, values = UNIQUE_KEYS[level], _unique_values(identifier, level, most)
    return SingleValue(tag, values[0]) if len(values) == 1 else UidList(tag, values)


def _unique_values(identifier: Identifier, level: Level, most: int | None) -> tuple[str, ...]:
    tag = UNIQUE_KEYS[level]
    values = texts(identifier.keys, tag)
    if not values or (most is not None and len(values) > most):
        wanted = "a single value" if most == 1 else "at least one UID"
        raise mismatch(tag, f"{keyword_of(tag)} needs {wanted} here")
    for value in values:
        # A Patient ID may hold anything but wildcards, which would name more than one patient.
        is_patient_id = value and not set(value) & set("*?")
        if not (is_patient_id if level is Level.PATIENT else is_valid_uid(value)):
            raise mismatch(tag, f"{keyword_of(tag)} does not name one entity")
    return values
