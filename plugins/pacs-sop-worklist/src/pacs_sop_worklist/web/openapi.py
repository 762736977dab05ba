"""The section of the OpenAPI 3.1 document about the worklist."""

from typing import Any, Final

from pacs_sop_worklist.steps import StepState
from pacs_sop_worklist.web.desk import MOST

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_STEP: Final = {"$ref": "#/components/schemas/WorklistStep"}
_NUMBER: Final = {"type": "integer"}
_DATASET: Final = {"type": "object", "description": "DICOM JSON Model (PS3.18 Annex F)"}
_KEYS: Final = {
    "name": "keys",
    "in": "query",
    "description": "Keywords of attributes with values, which match as keys of C-FIND do",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "example": {"Modality": "CT", "ScheduledProcedureStepStartDate": "20260131"},
}
_LIMIT: Final = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST},
}
_ALL: Final = {
    "name": "all",
    "in": "query",
    "description": "Also steps that are no longer on the list",
    "schema": {"type": "boolean"},
}
_AFTER: Final = {
    "name": "after",
    "in": "query",
    "description": "The next page: `number` of the last step of the one before",
    "schema": _NUMBER,
}
_IN_PATH: Final = {"name": "number", "in": "path", "required": True, "schema": _NUMBER}


def describe_api() -> dict[str, Any]:
    """Return the section."""
    steps = _object(steps={"type": "array", "items": _STEP}, has_more={"type": "boolean"})
    added = _object(numbers={"type": "array", "items": _NUMBER})
    cancelled = _object(number=_NUMBER, state={"const": str(StepState.CANCELED)})
    text = {"type": "string"}
    step = _object(
        number=_NUMBER,
        state={"type": "string", "enum": list(StepState)},
        source=text,
        performed=text,
        attributes=_DATASET,
    )
    entries = {"oneOf": [_DATASET, {"type": "array", "items": _DATASET}]}
    file = {"schema": {"type": "string", "format": "binary"}}
    body = {
        "required": True,
        "content": {"application/dicom+json": {"schema": entries}, "application/dicom": file},
    }
    add = _operation("Put steps on the list, or update them", added, status="201")
    return {
        "paths": {
            "/": {
                "get": _operation("Steps by their start", steps, _KEYS, _LIMIT, _ALL, _AFTER),
                "post": add | {"requestBody": body},
            },
            "/{number}": {"get": _operation("A step", _STEP, _IN_PATH)},
            "/{number}/cancel": {
                "post": _operation("Take a step off the list", cancelled, _IN_PATH)
            },
        },
        "components": {"schemas": {"WorklistStep": step}},
        "tags": [{"name": "worklist", "description": "What is to be examined, where and when"}],
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _operation(
    summary: str, answer: Any, *parameters: dict[str, Any], status: str = "200"
) -> dict[str, Any]:
    content = {"application/json": {"schema": answer}}
    return {
        "summary": summary,
        "tags": ["worklist"],
        "parameters": list(parameters),
        "responses": {
            status: {"description": summary, "content": content},
            "default": _PROBLEM,
        },
    }
