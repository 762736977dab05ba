"""The section of the OpenAPI 3.1 document about requests and results."""

from typing import Any, Final

from pacs_web.api.openapi import TEXT, Operation, describe_section, list_of, query

_OBJECT: Final = {"type": "object"}
_JSON: Final = "application/json"
_REQUEST: Final = {
    "type": "object",
    "required": ["service", "study"],
    "properties": {
        "service": TEXT,
        "study": TEXT,
        "series": list_of(TEXT),
        "priority": {"type": "integer"},
        "again": {"type": "boolean"},
    },
}
_ASSESSMENT: Final = {
    "type": "object",
    "required": ["assessment"],
    "properties": {
        "assessment": {"type": "string", "enum": ["accepted", "modified", "rejected"]},
        "comment": TEXT,
        "finding": TEXT,
    },
}
_QUERY: Final = tuple(
    query(name) for name in ("service", "study", "request", "state", "before", "limit")
)
_NUMBER: Final = (
    {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}},
)
_ONE: Final = (_OBJECT, _NUMBER)
_OPERATIONS: Final = (
    Operation("get", "/requests", "Requests, the latest first", _OBJECT, _QUERY),
    Operation("post", "/requests", "Have a service asked about a study", _OBJECT,
              body={_JSON: _REQUEST}, status="202"),
    Operation("get", "/requests/{number}", "A request, with its inputs and results", *_ONE),
    Operation("post", "/requests/{number}/cancel", "Cancel a request", *_ONE),
    Operation("get", "/results", "Results, the latest first", _OBJECT, _QUERY),
    Operation("get", "/results/{number}", "A result", *_ONE),
    Operation("get", "/results/{number}/findings",
              "Findings of a result, with assessments", *_ONE),
    Operation("post", "/results/{number}/release",
              "Archive a result that is in quarantine", *_ONE),
    Operation("post", "/results/{number}/discard",
              "Delete a result that is in quarantine", *_ONE),
    Operation("post", "/results/{number}/assess",
              "Accept, modify or reject a result, or a finding", *_ONE, {_JSON: _ASSESSMENT}),
    Operation("get", "/totals", "Numbers by service and version", _OBJECT),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    return describe_section("ai", "Services that infer, and their results", _OPERATIONS)
