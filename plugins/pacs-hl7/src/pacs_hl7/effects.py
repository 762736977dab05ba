"""Effects of messages as text, in which they are kept."""

import json
from collections.abc import Iterable

from attrs import asdict

from pacs_core.api.attribute_lists import from_json, to_json
from pacs_core.contracts import EntityPath
from pacs_hl7.interface import Effect


def effects_to_json(effects: Iterable[Effect]) -> str:
    """Return effects as text; empty if there are none."""
    plain = [
        {
            "correction": effect.correction,
            "records": effect.records,
            "patient": effect.patient and asdict(effect.patient),
            "before": {key: to_json(values) for key, values in effect.before.items()},
        }
        for effect in effects
    ]
    return json.dumps(plain) if plain else ""


def effects_from_json(text: str) -> tuple[Effect, ...]:
    """Return the effects that :func:`effects_to_json` has written."""
    return tuple(
        Effect(
            plain["correction"],
            plain["records"],
            plain["patient"] and EntityPath(**plain["patient"]),
            {key: from_json(values) for key, values in plain["before"].items()},
        )
        for plain in json.loads(text or "[]")
    )
