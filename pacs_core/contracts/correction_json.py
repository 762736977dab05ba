"""Corrections as text: JSON, in which an object store and an index keep them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import asdict, evolve

from pacs_core.contracts.corrections import Correction, EntityPath
from pacs_core.contracts.instance import Origin, Principal
from pacs_core.dataset import Attributes, Changes, Value

_VERSION: Final = 1


def correction_to_json(correction: Correction) -> str:
    """Return a correction as text, without its key, and without whether it is settled."""
    # How its connection was secured is told by the audit trail.
    origin = asdict(evolve(correction.origin, tls=None), recurse=False)
    if (principal := correction.origin.principal) is not None:
        origin["principal"] = {**asdict(principal, recurse=False), "roles": sorted(principal.roles)}
        origin["principal"]["claims"] = dict(principal.claims)
    content = {
        "version": _VERSION,
        "number": correction.number,
        "time": correction.time,
        "entity": {k: v for k, v in asdict(correction.entity).items() if v},
        "changes": _texts(correction.changes),
        "origin": {key: value for key, value in origin.items() if value},
        "reason": correction.reason,
        "comment": correction.comment,
        "reverts": correction.reverts,
    }
    return json.dumps(content, ensure_ascii=False)


def correction_from_json(text: str, *, key: str = "", is_settled: bool = False) -> Correction:
    """Return the correction that :func:`correction_to_json` has written.

    Raises
    ------
    ValueError
        It was not.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        if content["version"] != _VERSION:
            raise ValueError(f"it has version {content['version']}, not {_VERSION}")
        origin = dict(content["origin"])
        if "principal" in origin:
            principal = dict(origin["principal"])
            principal["roles"] = frozenset(principal["roles"])
            origin["principal"] = Principal(**principal)
        return Correction(
            number=content["number"],
            time=content["time"],
            entity=EntityPath(**content["entity"]),
            changes=_changes(content["changes"]),
            origin=Origin(**origin),
            reason=content["reason"],
            comment=content["comment"],
            reverts=content["reverts"],
            key=key,
            is_settled=is_settled,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no correction: {error!r}") from error


def _texts(changes: Mapping[int, tuple[Value, ...] | None]) -> dict[str, Any]:
    return {
        f"{tag:08X}": None if values is None else [_text(value) for value in values]
        for tag, values in changes.items()
    }


def _text(value: Value) -> Any:
    return value if isinstance(value, str) else _texts(value)


def _changes(texts: Mapping[str, Any]) -> Changes:
    return {int(tag, 16): None if v is None else _values(v) for tag, v in texts.items()}


def _values(values: list[Any]) -> tuple[Value, ...]:
    return tuple(value if isinstance(value, str) else _item(value) for value in values)


def _item(texts: Mapping[str, Any]) -> Attributes:
    return {int(tag, 16): _values(values) for tag, values in texts.items()}
