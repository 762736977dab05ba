"""The section of the OpenAPI 3.1 document about workitems."""

from typing import Any, Final

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_DATASET: Final = {"type": "object", "description": "DICOM JSON Model (PS3.18 Annex F)"}
_JSON: Final = {"application/dicom+json": {"schema": {"type": "array", "items": _DATASET}}}
_MODEL: Final = {"schema": {"type": "string", "description": "Native DICOM Model (PS3.19 A.1)"}}
_ONE: Final = _JSON | {"application/dicom+xml": _MODEL}
_MANY: Final = _JSON | {'multipart/related; type="application/dicom+xml"': _MODEL}
_TEXT: Final = {"type": "string"}


def describe_service() -> dict[str, Any]:
    """Return the section."""
    item, receiver = _in_path("workitem"), _in_path("receiver")
    requester = _in_path("requester")
    body = {"required": True, "content": _ONE}
    keys = {
        "name": "keys",
        "in": "query",
        "description": "Attributes by keyword or tag, which match as keys of C-FIND do",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": _TEXT},
        "example": {"ProcedureStepState": "SCHEDULED"},
    }
    fuzzy = {
        "name": "fuzzymatching",
        "in": "query",
        "description": "Names are matched literally; `true` is answered with a warning",
        "schema": {"type": "boolean"},
    }
    state = _operation("Claim, complete or cancel a workitem", "200", item) | {"requestBody": body}
    cancel = _operation("Cancel a workitem, or ask its performer to", "202", item)
    subscribe = _operation("Have somebody told of a workitem", "201", item, receiver)
    return {
        "paths": {
            "/": {
                "get": _operation("Workitems that match", "200", keys, fuzzy, content=_MANY),
                "post": _operation("Create a workitem", "201") | {"requestBody": body},
            },
            "/{workitem}": {
                "get": _operation("A workitem", "200", item, content=_ONE),
                "post": _operation("Set attributes", "200", item) | {"requestBody": body},
            },
            "/{workitem}/state": {"put": state},
            "/{workitem}/state/{requester}": {
                "put": state | {"parameters": [item, requester]},
            },
            "/{workitem}/cancelrequest": {"post": cancel},
            "/{workitem}/cancelrequest/{requester}": {
                "post": cancel | {"parameters": [item, requester]},
            },
            "/{workitem}/subscribers/{receiver}": {
                "post": subscribe,
                "delete": _operation("Have somebody told no more", "200", item, receiver),
            },
            "/{workitem}/subscribers/{receiver}/suspend": {
                "post": _operation("Have somebody not follow new ones", "200", item, receiver),
            },
        },
        "tags": [{"name": "workitems", "description": "UPS-RS (PS3.18 §11)"}],
    }


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _operation(
    summary: str, status: str, *parameters: dict[str, Any], content: dict[str, Any] | None = None
) -> dict[str, Any]:
    answer = {"description": summary} | ({"content": content} if content else {})
    return {
        "summary": summary,
        "tags": ["workitems"],
        "parameters": list(parameters),
        "responses": {status: answer, "default": _PROBLEM},
    }
