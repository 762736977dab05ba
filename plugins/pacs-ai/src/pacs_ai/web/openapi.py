"""The section of the OpenAPI 3.1 document about requests and results."""

import re
from typing import Any, Final

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_OPERATIONS: Final = (
    ("get", "/requests", "Requests, the latest first", "200"),
    ("post", "/requests", "Have a service asked about a study", "202"),
    ("get", "/requests/{number}", "A request, with its inputs and results", "200"),
    ("post", "/requests/{number}/cancel", "Cancel a request", "200"),
    ("get", "/results", "Results, the latest first", "200"),
    ("get", "/results/{number}", "A result", "200"),
    ("get", "/results/{number}/findings", "Findings of a result, with assessments", "200"),
    ("post", "/results/{number}/release", "Archive a result that is in quarantine", "200"),
    ("post", "/results/{number}/discard", "Delete a result that is in quarantine", "200"),
    ("post", "/results/{number}/assess", "Accept, modify or reject a result, or a finding", "200"),
    ("get", "/totals", "Numbers by service and version", "200"),
)
_TEXT: Final = {"type": "string"}
_BODIES: Final = {
    "/requests": {
        "type": "object",
        "required": ["service", "study"],
        "properties": {
            "service": _TEXT,
            "study": _TEXT,
            "series": {"type": "array", "items": _TEXT},
            "priority": {"type": "integer"},
            "again": {"type": "boolean"},
        },
    },
    "/results/{number}/assess": {
        "type": "object",
        "required": ["assessment"],
        "properties": {
            "assessment": {"type": "string", "enum": ["accepted", "modified", "rejected"]},
            "comment": _TEXT,
            "finding": _TEXT,
        },
    },
}
_QUERY: Final = ("service", "study", "request", "state", "before", "limit")


def describe_api() -> dict[str, Any]:
    """Return the section."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, status in _OPERATIONS:
        parameters: list[dict[str, Any]] = []
        if re.search("{number}", path):
            schema = {"type": "integer"}
            parameters = [{"name": "number", "in": "path", "required": True, "schema": schema}]
        elif method == "get" and path != "/totals":
            parameters = [{"name": name, "in": "query", "schema": _TEXT} for name in _QUERY]
        content = {"application/json": {"schema": {"type": "object"}}}
        good = {"description": summary, "content": content}
        operation: dict[str, Any] = {
            "summary": summary,
            "tags": ["ai"],
            "parameters": parameters,
            "responses": {status: good, "default": _PROBLEM},
        }
        if method == "post" and path in _BODIES:
            body = {"application/json": {"schema": _BODIES[path]}}
            operation["requestBody"] = {"required": True, "content": body}
        paths.setdefault(path, {})[method] = operation
    tag = {"name": "ai", "description": "Services that infer, and their results"}
    return {"paths": paths, "tags": [tag]}
