"""The section of the OpenAPI 3.1 document about performed steps."""

from typing import Any, Final

from pacs_sop_mpps.steps import PerformedState
from pacs_sop_mpps.web.desk import MOST

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_STEP: Final = {"$ref": "#/components/schemas/PerformedStep"}
_STATE: Final = {"type": "string", "enum": list(PerformedState)}
_TEXT: Final = {"type": "string"}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_IN_PATH: Final = {
    "name": "instance",
    "in": "path",
    "required": True,
    "description": "SOP Instance UID",
    "schema": _TEXT,
}
_KEYS: Final = {
    "name": "keys",
    "in": "query",
    "description": "Keywords of attributes with values, which match as keys of C-FIND do",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": _TEXT},
    "example": {"Modality": "CT", "PerformedProcedureStepStartDate": "20260131"},
}


def describe_api() -> dict[str, Any]:
    """Return the section."""
    schema = {
        "type": "object",
        "required": ["instance", "state", "attributes"],
        "properties": {
            "instance": _TEXT,
            "state": _STATE,
            "created_by": {"type": "string", "description": "AE title"},
            "created": _MOMENT,
            "changed": _MOMENT,
            "studies": {"type": "array", "items": _TEXT},
            "missing_instances": {
                "type": ["integer", "null"],
                "description": "Of a single step: how many instances that it names are not stored",
            },
            "attributes": {"type": "object", "description": "DICOM JSON Model (PS3.18 Annex F)"},
        },
    }
    steps = {
        "type": "object",
        "required": ["steps", "has_more"],
        "properties": {
            "steps": {"type": "array", "items": _STEP},
            "has_more": {"type": "boolean"},
        },
    }
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST})
    state, before = _query("state", _STATE), _query("before", _TEXT)
    before["description"] = "The next page: `instance` of the last step of the one before"
    listed = _operation("Performed steps, latest first", steps, _KEYS, state, limit, before)
    ended = _operation("Discontinue a step whose modality has failed", _STEP, _IN_PATH)
    return {
        "paths": {
            "/": {"get": listed},
            "/{instance}": {"get": _operation("A performed step", _STEP, _IN_PATH)},
            "/{instance}/discontinue": {"post": ended},
        },
        "components": {"schemas": {"PerformedStep": schema}},
        "tags": [{"name": "mpps", "description": "What modalities say they did, or are doing"}],
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _operation(summary: str, answer: Any, *parameters: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": answer}}
    return {
        "summary": summary,
        "tags": ["mpps"],
        "parameters": list(parameters),
        "responses": {
            "200": {"description": summary, "content": content},
            "default": _PROBLEM,
        },
    }
